//! Files that are damaged, hostile or of no use here.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Expected, fixture, refused};

#[test]
fn damaged_and_hostile_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let whole = fs::read(fixture("guided_default.pt")).unwrap();
    let flags = Expected::of(&fixture("guided_default.expected.safetensors")).metadata("flags");
    let guided = |path: &str, words: &[&str]| {
        refused(
            1,
            &["--from", "guided-diffusion", path, "--flags", &flags],
            words,
        );
    };
    guided(
        &file("cut.pt", &whole[..whole.len() / 2]),
        &["cut.pt", "cut off"],
    );
    guided(
        &file("text.pt", b"hello"),
        &["text.pt", "neither a safetensors"],
    );
    guided(
        &file("empty.pt", b""),
        &["empty.pt", "neither a safetensors"],
    );
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n";
    guided(&file("pointer.pt", pointer), &["git lfs pull"]);
    // What `pickle.dumps` makes of an object whose reconstruction calls os.system.
    let mut hostile = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec();
    hostile.extend(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.");
    guided(
        &file("hostile.pt", &hostile),
        &["would run code", "posix.system"],
    );
    let enormous = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    guided(
        &file("enormous.safetensors", &enormous),
        &["its header claims"],
    );
    let header =
        br#"{"x":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#;
    let claims = [&(header.len() as u64).to_le_bytes()[..], header].concat();
    guided(
        &file("claims.safetensors", &claims),
        &["do not match its shape or the file"],
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let path = fixture("guided_default.pt");
    let path = path.to_str().unwrap();
    let flags = Expected::of(&fixture("guided_default.expected.safetensors")).metadata("flags");
    let with = |flags: &str, words: &[&str], code: i32| {
        refused(
            code,
            &["--from", "guided-diffusion", path, "--flags", flags],
            words,
        );
    };
    with(
        &flags.replace("num_channels 8", "num_channels 16"),
        &["instead of", "not the described network"],
        1,
    );
    with(
        &flags.replace("num_res_blocks 2", "num_res_blocks 1"),
        &["does not belong to"],
        1,
    );
    with(
        &flags.replace("num_channels 8", "num_chanels 8"),
        &["did you mean --num_channels"],
        2,
    );
    with(
        &format!("{flags} --predict_xstart True"),
        &["predict_xstart"],
        1,
    );
    let further = [
        "--from",
        "guided-diffusion",
        path,
        "--flags",
        &flags,
        "--null-class",
        "9",
    ];
    refused(2, &further, &["--null-class 9", "below 3"]);
    refused(
        1,
        &["--from", "diffusers", "/no/such/folder"],
        &["does not exist"],
    );

    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(fixture("diffusers_learned")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let path = copy.to_str().unwrap();
    let change = |file: &str, key: &str, value: Value, words: &[&str]| {
        let file = copy.join(file);
        let before = fs::read_to_string(&file).unwrap();
        let mut json: Value = serde_json::from_str(&before).unwrap();
        json[key] = value;
        fs::write(&file, json.to_string()).unwrap();
        refused(1, &["--from", "diffusers", path], words);
        fs::write(&file, before).unwrap();
    };
    change(
        "config.json",
        "time_embedding_type",
        json!("fourier"),
        &["fourier", "no counterpart"],
    );
    change("config.json", "act_fn", json!("gelu"), &["gelu"]);
    let blocks = json!(["DownBlock2D", "CrossAttnDownBlock2D"]);
    change(
        "config.json",
        "down_block_types",
        blocks,
        &["CrossAttnDownBlock2D"],
    );
    change(
        "config.json",
        "norm_num_groups",
        json!(5),
        &["norm_groups is 5"],
    );
    change(
        "scheduler_config.json",
        "prediction_type",
        json!("sample"),
        &["predicts the sample"],
    );
    change(
        "scheduler_config.json",
        "beta_schedule",
        json!("sigmoid"),
        &["sigmoid"],
    );
    fs::remove_file(copy.join("scheduler_config.json")).unwrap();
    refused(2, &["--from", "diffusers", path], &["--scheduler"]);
}
