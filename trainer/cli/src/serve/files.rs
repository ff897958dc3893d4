//! From the path of a request to a file, without ever leaving the folder that is served.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What the path of a request stands for.
pub(super) enum Target {
    /// A file to send.
    File(Found),
    /// A folder that was named without the slash at the end: relative links in its page would go wrong. This is where
    /// to go instead.
    Redirect(String),
    /// A folder without a page.
    NoIndex,
    /// Nothing is there.
    NotFound,
    /// The path leaves the folder, or names a hidden file.
    Forbidden,
    /// The path is not decodable.
    BadRequest,
}

/// An open file.
pub(super) struct Found {
    pub file: File,
    pub len: u64,
    /// A tag that changes when the file does.
    pub etag: String,
    pub media_type: &'static str,
}

/// Finds what `url`, a request's target with or without a query, stands for under `root`, which must be canonical.
pub(super) fn find(root: &Path, url: &str) -> Target {
    let encoded = url.split(['?', '#']).next().unwrap_or_default();
    let Ok(path) = percent_decode_str(encoded).decode_utf8() else {
        return Target::BadRequest;
    };
    if !path.starts_with('/') || path.contains('\0') {
        return Target::BadRequest;
    }
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    if segments.iter().any(|segment| is_forbidden(segment)) {
        return Target::Forbidden;
    }
    let wanted: PathBuf = root
        .iter()
        .chain(segments.iter().map(|segment| segment.as_ref()))
        .collect();
    // Links are resolved before the check, so that none leads out of the folder.
    let real = match wanted.canonicalize() {
        Ok(real) if real.starts_with(root) => real,
        Ok(_) => return Target::Forbidden,
        Err(_) => return Target::NotFound,
    };
    if !real.is_dir() {
        // A file is no folder: "page.html/" must not be a second name of it.
        return if path.ends_with('/') {
            Target::NotFound
        } else {
            open(&real)
        };
    }
    let index = match real.join("index.html").canonicalize() {
        Ok(index) if index.starts_with(root) => index,
        Ok(_) => return Target::Forbidden,
        Err(_) => return Target::NoIndex,
    };
    if path.ends_with('/') {
        open(&index)
    } else {
        // The last name alone, relative, cannot lead to another host as an absolute path of two slashes would. Encoded
        // anew, it is plain ASCII.
        let last = segments.last().copied().unwrap_or_default();
        Target::Redirect(format!(
            "./{}/",
            utf8_percent_encode(last, NON_ALPHANUMERIC)
        ))
    }
}

/// Names that are never served: the way up, hidden files, and what only Windows would take as a separator or a drive.
fn is_forbidden(segment: &str) -> bool {
    (segment.starts_with('.') && segment != ".well-known") || segment.contains(['\\', ':'])
}

fn open(path: &Path) -> Target {
    let read = || -> io::Result<Option<Found>> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let age = metadata
            .modified()?
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let etag = format!("\"{:x}-{:x}\"", metadata.len(), age.as_nanos());
        Ok(Some(Found {
            file,
            len: metadata.len(),
            etag,
            media_type: media_type(path),
        }))
    };
    match read() {
        Ok(Some(found)) => Target::File(found),
        Ok(None) => Target::NotFound,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Target::Forbidden,
        Err(_) => Target::NotFound,
    }
}

/// The media type for a file name. Browsers refuse scripts, modules and WebAssembly under a wrong one.
fn media_type(path: &Path) -> &'static str {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    match extension.as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "txt" | "md" | "toml" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" | "map" => "application/json",
        "jsonl" => "application/jsonl",
        "webmanifest" => "application/manifest+json",
        "xml" => "application/xml",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "gif" => "image/gif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "ttf" => "font/ttf",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        // Weights (.safetensors, .onnx, .bpk) and all else.
        _ => "application/octet-stream",
    }
}
