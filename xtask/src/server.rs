//! A small static server for the demonstration: this machine only, files only.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// Longer requests are no browser's.
const LONGEST_REQUEST: u64 = 64 * 1024;

/// Serves folders on 127.0.0.1 from threads of its own, until the program ends.
pub struct Server {
    listener: TcpListener,
    folders: Folders,
}

/// The folders that are served, the latest first. A page that was loaded before a folder was added
/// still finds its own files in the earlier ones.
#[derive(Clone, Default)]
pub struct Folders(Arc<RwLock<Vec<PathBuf>>>);

impl Folders {
    /// From the next request on, files come from this folder where it has them.
    pub fn add(&self, folder: PathBuf) {
        self.0.write().expect("no holder panics").insert(0, folder);
    }
}

impl Server {
    /// Takes the port, or the next free one after it.
    pub fn bind(port: u16) -> Result<Server> {
        let listener = (port..=port.saturating_add(50))
            .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
            .map_or_else(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)), Ok)
            .context("cannot listen on 127.0.0.1")?;
        Ok(Server {
            listener,
            folders: Folders::default(),
        })
    }

    /// The address to type into a browser.
    pub fn address(&self) -> Result<String> {
        Ok(format!(
            "http://127.0.0.1:{}/",
            self.listener.local_addr()?.port()
        ))
    }

    /// The folders, for adding to while it serves.
    pub fn folders(&self) -> Folders {
        self.folders.clone()
    }

    /// Starts to answer.
    pub fn start(self) {
        thread::spawn(move || {
            for stream in self.listener.incoming().flatten() {
                let folders = self.folders.clone();
                // A visitor who leaves in mid-transfer is no error of ours.
                thread::spawn(move || {
                    let _ = answer(stream, &folders);
                });
            }
        });
    }
}

fn answer(mut stream: TcpStream, folders: &Folders) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut request = BufReader::new(stream.try_clone()?.take(LONGEST_REQUEST));
    let mut first = String::new();
    request.read_line(&mut first)?;
    let mut header = String::new();
    while request.read_line(&mut header)? > 2 {
        header.clear();
    }
    let folders = folders.0.read().expect("no holder panics").clone();
    match Reply::to(&first, &folders) {
        Reply::File { path, body } => {
            let mut file = File::open(&path)?;
            let length = file.metadata()?.len();
            let kind = content_type(&path);
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
                 Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n\
                 Connection: close\r\n\r\n"
            )?;
            if body {
                io::copy(&mut file, &mut stream)?;
            }
        }
        Reply::Moved(to) => write!(
            stream,
            "HTTP/1.1 308 Permanent Redirect\r\nLocation: {to}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        )?,
        Reply::Refused(status) => write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{status}",
            status.len()
        )?,
    }
    stream.flush()
}

#[derive(Debug, PartialEq)]
enum Reply {
    /// `body` is false where only the head was asked for.
    File {
        path: PathBuf,
        body: bool,
    },
    Moved(String),
    Refused(&'static str),
}

impl Reply {
    /// The reply to a request's first line.
    fn to(line: &str, folders: &[PathBuf]) -> Reply {
        let mut words = line.split_ascii_whitespace();
        let (method, url) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        if method != "GET" && method != "HEAD" {
            return Reply::Refused("405 Method Not Allowed");
        }
        let (path, query) = url
            .split_once('?')
            .map_or((url, None), |(p, q)| (p, Some(q)));
        let Some(relative) = relative_path(path) else {
            return Reply::Refused("400 Bad Request");
        };
        for folder in folders {
            let Some(found) = inside(folder, &relative) else {
                continue;
            };
            if found.is_file() {
                return Reply::File {
                    path: found,
                    body: method == "GET",
                };
            }
            if !path.ends_with('/') {
                // Else the page's relative addresses would start one folder too high. Never
                // `//host`, which would lead away.
                let path = format!("/{}/", path.trim_start_matches('/'));
                return Reply::Moved(query.map_or(path.clone(), |query| format!("{path}?{query}")));
            }
            if let Some(index) = inside(folder, &relative.join("index.html")) {
                return Reply::File {
                    path: index,
                    body: method == "GET",
                };
            }
        }
        Reply::Refused("404 Not Found")
    }
}

/// The file of a folder; nothing where it does not exist or a link leads out of the folder.
fn inside(folder: &Path, relative: &Path) -> Option<PathBuf> {
    let folder = fs::canonicalize(folder).ok()?;
    let found = fs::canonicalize(folder.join(relative)).ok()?;
    found.starts_with(&folder).then_some(found)
}

/// The path that a URL's path names below the root; nothing for one that would leave it.
fn relative_path(url: &str) -> Option<PathBuf> {
    let decoded = percent_decoded(url.strip_prefix('/')?)?;
    let mut path = PathBuf::new();
    for part in decoded.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            // Separators, drives and streams of other systems.
            _ if part.contains(['\\', ':', '\0']) => return None,
            _ => path.push(part),
        }
    }
    Some(path)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn content_type(path: &Path) -> &'static str {
    match path
        .extension()
        .and_then(|end| end.to_str())
        .unwrap_or_default()
    {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of the test's own, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[&str]) -> Folder {
            let path = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
            for file in files {
                let file = path.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, file.to_string_lossy().as_bytes()).unwrap();
            }
            Folder(fs::canonicalize(path).unwrap())
        }

        fn file(&self, name: &str) -> Reply {
            Reply::File {
                path: self.0.join(name),
                body: true,
            }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn files_and_folders_are_found() {
        let site = Folder::new("found", &["index.html", "models/m/index.html", "a b.js"]);
        let to = |line: &str| Reply::to(line, &[site.0.clone()]);
        assert_eq!(to("GET / HTTP/1.1\r\n"), site.file("index.html"));
        assert_eq!(to("GET /a%20b.js?v=1 HTTP/1.1"), site.file("a b.js"));
        assert_eq!(
            to("GET /models/m/ HTTP/1.1"),
            site.file("models/m/index.html")
        );
        assert_eq!(
            to("GET /models/m?x=1 HTTP/1.1"),
            Reply::Moved("/models/m/?x=1".into())
        );
        assert_eq!(to("GET //models HTTP/1.1"), Reply::Moved("/models/".into()));
        assert_eq!(to("GET /models/ HTTP/1.1"), Reply::Refused("404 Not Found"));
        assert_eq!(to("GET /none HTTP/1.1"), Reply::Refused("404 Not Found"));
        assert_eq!(
            to("POST / HTTP/1.1"),
            Reply::Refused("405 Method Not Allowed")
        );
        let head = Reply::File {
            path: site.0.join("index.html"),
            body: false,
        };
        assert_eq!(to("HEAD / HTTP/1.1"), head);
    }

    #[test]
    fn nothing_outside_the_folder_is_served() {
        let site = Folder::new("outside", &["site/index.html", "secret.txt"]);
        let folders = [site.0.join("site")];
        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/x/../../secret.txt",
            "/..%2fsecret.txt",
            "/..\\secret.txt",
            "/%00",
            "/%zz",
            "/%c3",
            "secret.txt",
            "/C:/secret.txt",
        ] {
            let reply = Reply::to(&format!("GET {path} HTTP/1.1"), &folders);
            assert_eq!(reply, Reply::Refused("400 Bad Request"), "{path}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../secret.txt", site.0.join("site/link.txt")).unwrap();
            let reply = Reply::to("GET /link.txt HTTP/1.1", &folders);
            assert_eq!(reply, Reply::Refused("404 Not Found"));
        }
    }

    #[test]
    fn a_later_folder_comes_first_and_an_earlier_one_stays() {
        let first = Folder::new("first", &["index.html", "old.js"]);
        let second = Folder::new("second", &["index.html", "new.js"]);
        let server = Server::bind(0).unwrap();
        let address = server.address().unwrap();
        let folders = server.folders();
        folders.add(first.0.clone());
        server.start();
        let get = |path: &str| {
            let host = address
                .strip_prefix("http://")
                .unwrap()
                .trim_end_matches('/');
            let mut stream = TcpStream::connect(host).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).unwrap();
            reply
        };
        assert!(get("/new.js").starts_with("HTTP/1.1 404"));
        folders.add(second.0.clone());
        assert!(get("/").ends_with(&*second.0.join("index.html").to_string_lossy()));
        assert!(get("/old.js").ends_with(&*first.0.join("old.js").to_string_lossy()));
        assert!(get("/new.js").contains("Content-Type: text/javascript; charset=utf-8\r\n"));
    }

    #[test]
    fn a_port_in_use_is_passed_over() {
        let taken = Server::bind(0).unwrap();
        let port = taken.listener.local_addr().unwrap().port();
        let next = Server::bind(port).unwrap();
        assert_ne!(next.listener.local_addr().unwrap().port(), port);
    }
}
