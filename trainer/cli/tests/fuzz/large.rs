//! Hostile files of a megabyte: whatever is copied, doubled or kept for each of many small things shows beside twice
//! their size, as it does not in small files.

use std::fmt::Write;
use std::io::{Cursor, Write as _};

use serde_json::json;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

type Files = Vec<(String, Vec<u8>)>;

const SIZE: usize = 1 << 20;

/// A safetensors file of this header.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

/// Headers that are as large as the file.
pub fn headers() -> Files {
    let long = "a".repeat(SIZE / 2 - 100);
    let tensor = r#"{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
    let mut headers = vec![
        (
            "a list in a list".to_owned(),
            format!(r#"{{"x":{}"#, "[".repeat(SIZE)),
        ),
        ("objects in objects".to_owned(), r#"{"x":"#.repeat(SIZE / 5)),
        (
            "a nested field".to_owned(),
            format!(r#"{{"x":{{"y":{}"#, "[".repeat(SIZE)),
        ),
        (
            "a nested metadata".to_owned(),
            format!(r#"{{"__metadata__":{}"#, "[".repeat(SIZE)),
        ),
        (
            "a long dtype".to_owned(),
            format!(r#"{{"x":{{"dtype":"{long}\n{long}\n"}}}}"#),
        ),
        (
            "a long field".to_owned(),
            format!(r#"{{"x":{{"{long}\n{long}\n":0}}}}"#),
        ),
        (
            "a long key of metadata".to_owned(),
            format!(r#"{{"__metadata__":{{"{long}\n{long}\n":""}}}}"#),
        ),
        (
            "a long number".to_owned(),
            format!(r#"{{"x":{{"shape":[{}.5]}}}}"#, "1".repeat(SIZE)),
        ),
        (
            "a long shape".to_owned(),
            format!(r#"{{"x":{{"shape":[{}0]}}}}"#, "0,".repeat(SIZE / 2)),
        ),
    ];
    for (kind, text) in [
        ("plain", "a".repeat(SIZE)),
        ("two escapes", format!("{long}\\n{long}\\n")),
        ("escapes", "\\n".repeat(SIZE / 2)),
        ("code points", "\\u0061".repeat(SIZE / 6)),
        ("escapes of an eighth", "\\n".repeat(SIZE / 17)),
    ] {
        headers.push((
            format!("a name, {kind}"),
            format!(r#"{{"{text}":{tensor}}}"#),
        ));
        let says = format!(
            r#"{{"__metadata__":{{"freeguide_classifier":"{text}"}},"linear.weight":{tensor}}}"#
        );
        headers.push((format!("a description, {kind}"), says));
    }
    // As many entries as there are places for, in an order in which tables are filled badly.
    for length in [7, 50, 150, 250, 400] {
        let mut header = "{".to_owned();
        for entry in 0.. {
            if header.len() > SIZE {
                break;
            }
            let name = format!("{entry:0>length$}");
            let _ = write!(
                header,
                r#""{name}":{{"dtype":"F32","shape":[],"data_offsets":[{},{}]}},"#,
                4 * entry,
                4 * entry + 4
            );
        }
        let _ = write!(header, r#""z":{tensor}}}"#);
        headers.push((format!("names of {length}"), header));
    }
    let mut files: Files = Vec::new();
    for (name, header) in headers {
        files.push((name, safetensors(&header, &[])));
    }
    files
}

/// A file of tensors one after another, of zeros, as the header of `dtype` describes them.
fn tensors(dtype: &str, bytes: usize, shapes: &[(String, Vec<usize>)], metadata: &str) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut at = 0;
    for (name, shape) in shapes {
        let end = at + bytes * shape.iter().product::<usize>();
        header.insert(
            name.clone(),
            json!({ "dtype": dtype, "shape": shape, "data_offsets": [at, end] }),
        );
        at = end;
    }
    if !metadata.is_empty() {
        header.insert(
            "__metadata__".to_owned(),
            json!({ "freeguide_classifier": metadata }),
        );
    }
    safetensors(&serde_json::Value::Object(header).to_string(), &vec![0; at])
}

/// The tensors of a ResNet of that width.
fn resnet(width: usize, blocks: usize, classes: usize) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Vec::new();
    let mut conv = |conv: String, norm: String, [output, input]: [usize; 2]| {
        shapes.push((format!("{conv}.weight"), vec![output, input, 3, 3]));
        for part in ["weight", "bias", "running_mean", "running_var"] {
            shapes.push((format!("{norm}.{part}"), vec![output]));
        }
    };
    conv("conv1".to_owned(), "bn1".to_owned(), [width, 3]);
    let mut input = width;
    for stage in 0..3 {
        let output = width << stage;
        for block in 0..blocks {
            let name = format!("layer{}.{block}", stage + 1);
            conv(
                format!("{name}.conv1"),
                format!("{name}.bn1"),
                [output, input],
            );
            conv(
                format!("{name}.conv2"),
                format!("{name}.bn2"),
                [output, output],
            );
            input = output;
        }
    }
    shapes.push(("linear.weight".to_owned(), vec![classes, input]));
    shapes.push(("linear.bias".to_owned(), vec![classes]));
    shapes
}

/// Files of tensors: good ones, and such as have more than they need.
pub fn networks() -> Files {
    let classes: Vec<String> = (0..2000).map(|id| format!("\n{id}")).collect();
    let says = json!({
        "name": "large", "size": 8, "classes": classes, "held_out_accuracy": 0.5,
        "held_out_class_accuracies": vec![0.5; 2000], "held_out_images": 9, "data_fingerprint": "0",
    });
    let one = [("x".to_owned(), vec![SIZE])];
    let mut more = resnet(4, 1, 10);
    more.extend((0..1000).map(|k| (format!("layer4.{k}.conv1.weight"), vec![8])));
    // A file may say that all of its tensors are the same bytes.
    let mut shared = serde_json::Map::new();
    for (name, shape) in resnet(64, 4, 10) {
        let bytes = 2 * shape.iter().product::<usize>();
        shared.insert(
            name,
            json!({ "dtype": "F16", "shape": shape, "data_offsets": [0, bytes] }),
        );
    }
    let shared = serde_json::Value::Object(shared).to_string();
    let files = [
        ("one tensor of halves", tensors("F16", 2, &one, "")),
        ("one tensor of floats", tensors("F32", 4, &one, "")),
        ("one tensor of bytes", tensors("I8", 1, &one, "")),
        (
            "a ResNet of halves",
            tensors("F16", 2, &resnet(32, 2, 10), ""),
        ),
        (
            "a ResNet of floats",
            tensors("F32", 4, &resnet(32, 2, 10), ""),
        ),
        (
            "a classifier",
            tensors("F16", 2, &resnet(32, 2, 2000), &says.to_string()),
        ),
        (
            "a classifier that says too much",
            tensors("F16", 2, &resnet(4, 1, 10), &" ".repeat(SIZE)),
        ),
        ("more than a network", tensors("F16", 2, &more, "")),
        ("shared bytes", safetensors(&shared, &[0; SIZE / 2])),
    ];
    files.map(|(name, file)| (name.to_owned(), file)).into()
}

/// What torch.save could have written: archives of many members, and old files of one pickle that goes on and on.
pub fn checkpoints() -> Files {
    let mut files: Files = Vec::new();
    let tensors = |length: usize| {
        // A dictionary whose keys are that long.
        let mut pickle = b"\x80\x02}(".to_vec();
        for entry in 0.. {
            if pickle.len() > SIZE / 2 {
                break;
            }
            pickle.push(b'X');
            pickle.extend((length as u32).to_le_bytes());
            pickle.extend(format!("{entry:0>length$}").bytes());
            pickle.push(b'N');
        }
        pickle.extend(b"u.");
        pickle
    };
    for length in [7, 100, 1000] {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let stored =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        archive.start_file("archive/data.pkl", stored).unwrap();
        archive.write_all(&tensors(length)).unwrap();
        for member in 0..SIZE / 2 / (2 * length + 76) {
            archive
                .start_file(format!("{member:0>length$}"), stored)
                .unwrap();
        }
        files.push((
            format!("members of {length}"),
            archive.finish().unwrap().into_inner(),
        ));
    }
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    let old = |body: &[u8]| [&magic, &b"\x80\x02"[..], body].concat();
    for (name, body) in [
        ("nothings", b"N".repeat(SIZE)),
        ("memo", [&b"N"[..], &b"\x94".repeat(SIZE)].concat()),
        ("tuples", [&b")"[..], &b"\x85".repeat(SIZE)].concat()),
        ("dictionaries", b"}".repeat(SIZE)),
        ("marks", b"(".repeat(SIZE)),
        ("texts", b"X\x01\x00\x00\x00a0".repeat(SIZE / 7)),
        ("keys", tensors(7)),
        (
            "a text",
            [&b"X\x00\x00\x10\x00"[..], &vec![b'a'; SIZE]].concat(),
        ),
        (
            "an integer",
            [&b"\x8b\xff\xff\x0f\x00"[..], &vec![1; SIZE]].concat(),
        ),
        ("a line", [&b"c"[..], &vec![b'a'; SIZE]].concat()),
    ] {
        files.push((name.to_owned(), old(&body)));
    }
    files
}

/// JSON of a folder of diffusers.
pub fn descriptions() -> Vec<(String, String)> {
    let long = "a".repeat(SIZE / 2 - 100);
    let mut index = r#"{"weight_map":{"#.to_owned();
    for entry in 0..SIZE / 20 {
        let _ = write!(index, r#""{entry:x}":"{entry:x}","#);
    }
    let texts = [
        ("a list in a list", format!(r#"{{"x":{}"#, "[".repeat(SIZE))),
        ("a field", format!(r#"{{"{long}\n{long}\n":0}}"#)),
        ("a text", format!(r#"{{"act_fn":"{long}\n{long}\n"}}"#)),
        ("an index", index + r#""":""}}"#),
        (
            "one file",
            format!(
                r#"{{"weight_map":{{{}"":""}}}}"#,
                r#""x":"y","#.repeat(SIZE / 8)
            ),
        ),
        (
            "a long name",
            format!(r#"{{"weight_map":{{"x":"{}"}}}}"#, "a".repeat(SIZE)),
        ),
    ];
    texts.map(|(name, text)| (name.to_owned(), text)).into()
}
