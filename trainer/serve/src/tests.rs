//! Requests over real sockets.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use tempfile::TempDir;

use super::*;

/// A folder that is being served.
struct Site {
    folder: TempDir,
    address: SocketAddr,
    folders: Folders,
    server: Arc<Server>,
}

/// A parsed response, with header names in lower case.
struct Reply {
    status: u16,
    fields: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Site {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join("site").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let server = FileServer::bind("127.0.0.1", Port::Exactly(0)).unwrap();
        server.folders().add(&folder.path().join("site")).unwrap();
        let site = Self {
            folder,
            address: server.address,
            folders: server.folders().clone(),
            server: Arc::clone(&server.server),
        };
        thread::spawn(move || server.run());
        site
    }

    fn send(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let fields = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Reply {
            status,
            fields,
            body: bytes[end + 4..].to_vec(),
        }
    }

    fn request(&self, method: &str, path: &str, more: &[(&str, &str)]) -> Reply {
        let more: String = more
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n"
        ))
    }

    fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[])
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for _ in 0..WORKERS {
            self.server.unblock();
        }
    }
}

impl Reply {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

#[test]
fn files_come_with_their_length_and_media_type() {
    let large: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
    let site = Site::new(&[
        ("index.html", b"<h1>hi</h1>"),
        ("app.js", b"1"),
        ("a.mjs", b"1"),
        ("b.wasm", b"\0asm"),
        ("config.json", b"{}"),
        ("model.safetensors", &large),
        ("with space ä.PNG", b"png"),
    ]);
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/app.js?v=1", "text/javascript; charset=utf-8"),
        ("/a.mjs", "text/javascript; charset=utf-8"),
        ("/b.wasm", "application/wasm"),
        ("/config.json", "application/json"),
        ("/with%20space%20%C3%A4.PNG", "image/png"),
    ] {
        let reply = site.get(path);
        assert_eq!(
            (reply.status, reply.field("content-type")),
            (200, media_type),
            "{path}"
        );
        assert_eq!(reply.field("access-control-allow-origin"), "*");
    }
    assert_eq!(site.get("/").body, b"<h1>hi</h1>");
    let weights = site.get("/model.safetensors");
    assert_eq!(weights.field("content-type"), "application/octet-stream");
    assert_eq!(
        (
            weights.field("content-length"),
            weights.field("transfer-encoding")
        ),
        ("300000", "")
    );
    assert!(weights.body == large);
}

#[test]
fn head_sends_no_body() {
    let site = Site::new(&[("a.txt", b"hello")]);
    let reply = site.request("HEAD", "/a.txt", &[]);
    assert_eq!(
        (reply.status, reply.field("content-length"), &reply.body[..]),
        (200, "5", &b""[..])
    );
}

#[test]
fn folders_have_pages() {
    let site = Site::new(&[("sub/index.html", b"sub"), ("plain/a.txt", b"a")]);
    assert_eq!(site.get("/sub/").body, b"sub");
    let reply = site.get("/sub?x=1");
    assert_eq!((reply.status, reply.field("location")), (301, "./sub/"));
    // Two slashes at the start must not lead to another host.
    assert_eq!(site.get("//sub").field("location"), "./sub/");
    assert_eq!(site.get("/plain/").status, 404);
    assert_eq!(site.get("/").status, 404);
    assert_eq!(site.get("/plain/a.txt/").status, 404);
    assert_eq!(site.get("/none.txt").status, 404);
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let site = Site::new(&[
        ("a.txt", b"a"),
        (".git/config", b"secret"),
        (".well-known/x", b"x"),
    ]);
    fs::write(site.folder.path().join("secret.txt"), "secret").unwrap();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/a.txt/../../secret.txt",
        "/..%5csecret.txt",
        "/%2e%2e%5csecret.txt",
        "/.git/config",
        "/%2egit/config",
    ] {
        let reply = site.get(path);
        assert_eq!(reply.status, 403, "{path}");
        assert!(!reply.body.windows(6).any(|window| window == b"secret"));
    }
    assert_eq!(site.get("/%00").status, 400);
    assert_eq!(site.get("/%ff").status, 400);
    assert_eq!(site.get("http://elsewhere/secret.txt").status, 400);
    assert_eq!(site.get("//etc/passwd").status, 404);
    assert_eq!(site.get("/.well-known/x").body, b"x");
}

#[cfg(unix)]
#[test]
fn links_are_served_only_inside_the_folder() {
    use std::os::unix::fs::symlink;
    let site = Site::new(&[("a.txt", b"a")]);
    let root = site.folder.path().join("site");
    fs::create_dir(site.folder.path().join("out")).unwrap();
    fs::write(site.folder.path().join("out/index.html"), "secret").unwrap();
    symlink("a.txt", root.join("inside.txt")).unwrap();
    symlink("../out/index.html", root.join("outside.txt")).unwrap();
    symlink("../out", root.join("outside")).unwrap();
    fs::create_dir(root.join("page")).unwrap();
    symlink("../../out/index.html", root.join("page/index.html")).unwrap();
    assert_eq!(site.get("/inside.txt").body, b"a");
    for path in ["/outside.txt", "/outside/", "/outside/index.html", "/page/"] {
        assert_eq!(site.get(path).status, 403, "{path}");
    }
}

#[test]
fn what_the_visitor_has_is_not_sent_again() {
    let site = Site::new(&[("a.txt", b"hello")]);
    let tag = site.get("/a.txt").field("etag").to_owned();
    for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".into()] {
        let reply = site.request("GET", "/a.txt", &[("If-None-Match", &known)]);
        assert_eq!(
            (reply.status, &reply.body[..], reply.field("etag")),
            (304, &b""[..], tag.as_str()),
            "{known}"
        );
    }
    fs::write(site.folder.path().join("site/a.txt"), "hello, again").unwrap();
    let reply = site.request("GET", "/a.txt", &[("If-None-Match", &tag)]);
    assert_eq!((reply.status, &reply.body[..]), (200, &b"hello, again"[..]));
}

#[test]
fn parts_of_files_are_sent() {
    let site = Site::new(&[("a.bin", b"0123456789")]);
    let part = |range: &str, more: &[(&str, &str)]| {
        let fields: Vec<_> = [("Range", range)]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        let reply = site.request("GET", "/a.bin", &fields);
        (
            reply.status,
            reply.field("content-range").to_owned(),
            String::from_utf8(reply.body).unwrap(),
        )
    };
    assert_eq!(
        part("bytes=2-4", &[]),
        (206, "bytes 2-4/10".into(), "234".into())
    );
    assert_eq!(
        part("bytes=-3", &[]),
        (206, "bytes 7-9/10".into(), "789".into())
    );
    assert_eq!(
        part("bytes=4-", &[]),
        (206, "bytes 4-9/10".into(), "456789".into())
    );
    let past = part("bytes=10-", &[]);
    assert_eq!((past.0, past.1.as_str()), (416, "bytes */10"));
    let tag = site.get("/a.bin").field("etag").to_owned();
    assert_eq!(part("bytes=0-1", &[("If-Range", &tag)]).0, 206);
    assert_eq!(part("bytes=0-1", &[("If-Range", "\"old\"")]).0, 200);
}

#[test]
fn other_methods_and_preflights() {
    let site = Site::new(&[("a.txt", b"a")]);
    let reply = site.request("POST", "/a.txt", &[("Content-Length", "0")]);
    assert_eq!(
        (reply.status, reply.field("allow")),
        (405, "GET, HEAD, OPTIONS")
    );
    let reply = site.request(
        "OPTIONS",
        "/a.txt",
        &[("Access-Control-Request-Method", "GET")],
    );
    assert_eq!(
        (reply.status, reply.field("access-control-allow-origin")),
        (204, "*")
    );
    assert!(
        reply
            .field("access-control-allow-headers")
            .contains("Range")
    );
}

#[test]
fn a_visitor_who_goes_away_does_not_stop_the_server() {
    let site = Site::new(&[("large", &vec![7; 4 << 20]), ("a.txt", b"a")]);
    for _ in 0..2 * WORKERS {
        let mut stream = TcpStream::connect(site.address).unwrap();
        stream
            .write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
    }
    let _ = TcpStream::connect(site.address)
        .unwrap()
        .write_all(b"nonsense\r\n\r\n");
    assert_eq!(site.get("/a.txt").body, b"a");
}

#[test]
fn a_later_folder_comes_first_and_an_earlier_one_stays() {
    let site = Site::new(&[
        ("index.html", b"first"),
        ("old.js", b"old"),
        ("sub/a", b"a"),
    ]);
    assert_eq!(site.get("/new.js").status, 404);
    let second = site.folder.path().join("second");
    fs::create_dir_all(second.join("sub")).unwrap();
    fs::write(second.join("index.html"), "second").unwrap();
    fs::write(second.join("new.js"), "new").unwrap();
    site.folders.add(&second).unwrap();
    assert_eq!(site.get("/").body, b"second");
    assert_eq!(site.get("/new.js").body, b"new");
    assert_eq!(site.get("/old.js").body, b"old");
    // A folder without a page does not hide what an earlier folder has below it.
    assert_eq!(site.get("/sub/a").body, b"a");
    assert_eq!(site.get("/../second/new.js").status, 403);
}

#[test]
fn a_port_that_is_taken_is_an_error_or_the_next_is_taken() {
    let first = FileServer::bind("127.0.0.1", Port::Exactly(0)).unwrap();
    let taken = first.address.port();
    let next = FileServer::bind("127.0.0.1", Port::FirstFreeFrom(taken)).unwrap();
    assert!(next.address.port() > taken);
    let error = FileServer::bind("127.0.0.1", Port::Exactly(taken))
        .err()
        .unwrap();
    assert!(
        matches!(error, ServeError::Port { in_use: true, .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("another program uses it; choose another with --port"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_served_is_said() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for name in ["none", "file"] {
        let result = Folders::default().add(&folder.path().join(name));
        assert!(matches!(result, Err(ServeError::Folder { .. })));
    }
    // 192.0.2.0/24 is reserved for documentation and belongs to no machine.
    for host in ["192.0.2.1", "not a host"] {
        let result = FileServer::bind(host, Port::Exactly(0));
        assert!(matches!(result, Err(ServeError::Host { .. })), "{host}");
    }
}

#[test]
fn the_url_can_be_opened_in_a_browser() {
    let url = |host| FileServer::bind(host, Port::Exactly(0)).unwrap().url();
    assert!(url("127.0.0.1").starts_with("http://127.0.0.1:"));
    assert!(url("0.0.0.0").starts_with("http://localhost:"));
}
