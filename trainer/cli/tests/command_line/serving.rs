//! Devices, readers that leave, and the server.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use crate::process::*;
use crate::sampling::sample;
use serde_json::Value;

#[test]
fn devices_are_listed() {
    let listed = run(&["devices"]).ok().out;
    assert!(
        listed.contains("cpu") && listed.contains("vulkan"),
        "{listed}"
    );
    let json: Value = serde_json::from_str(&run(&["devices", "--json"]).ok().out).unwrap();
    assert_eq!(
        (&json[0]["name"], &json[0]["unavailable"]),
        (&"cpu".into(), &Value::Null)
    );
    if cfg!(not(feature = "wgpu")) {
        assert!(
            json[1]["unavailable"]
                .as_str()
                .unwrap()
                .contains("--features vulkan")
        );
        let place = tempfile::tempdir().unwrap();
        sample(text(&place.path().join("x.png")), &["--device", "vulkan"])
            .refused(1, &["--device vulkan", "--features vulkan"]);
    }
}

#[test]
fn a_reader_may_leave_early() {
    for arguments in [
        &["devices"][..],
        &["devices", "--json"],
        &["inspect", &tiny_model(), "--json"],
    ] {
        let mut child = command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ran = finished(child.wait_with_output().unwrap()).ok();
        assert_eq!(ran.err, "");
    }
    // A training continues without its log.
    let place = tempfile::tempdir().unwrap();
    let (out, recipe) = (place.path().join("run"), recipe());
    let arguments = train_arguments(text(&out), &recipe, &["--set", "train.steps=2"]);
    let mut child = command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(checkpoints(&out), ["step-00000002"]);
    let resumed = train(&out, &["--set", "train.steps=3", "--resume", "--quiet"]).ok();
    assert_eq!(resumed.err, "");
}

#[test]
fn a_bundle_is_served() {
    let mut child = command(&["serve", &tiny_model(), "--port", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /config.json HTTP/1.0\r\nHost: {address}\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        answer.contains(" 200 ") && answer.contains("application/json"),
        "{answer}"
    );
    assert!(
        answer.ends_with(&fs::read_to_string(format!("{}/config.json", tiny_model())).unwrap())
    );
    run(&["serve", "no/such/folder"]).refused(1, &["no/such/folder"]);
    run(&["serve", &recipe()]).refused(1, &["not a folder"]);
    run(&["serve", &tiny_model(), "--port", "65536"]).refused(2, &["65536"]);
}
