//! From the path of a request to a file, without ever leaving the served folders.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::media_type::media_type;

/// What the path of a request refers to.
pub(crate) enum Target {
    /// A file to send.
    File(Found),
    /// A folder whose path lacks the final slash, so that relative links in its page would be wrong. This is the
    /// location to go to instead.
    Redirect(String),
    /// A folder without an index.html.
    NoIndex,
    /// Nothing has this path.
    NotFound,
    /// The path leaves the folder or names a hidden file.
    Forbidden,
    /// The path cannot be decoded.
    BadRequest,
}

/// An open file.
pub(crate) struct Found {
    pub file: File,
    pub len: u64,
    /// A tag that changes when the file does.
    pub etag: String,
    pub media_type: &'static str,
}

/// Finds what `url`, the target of a request with or without a query, refers to. The first of the folders that has it
/// counts. The folders must be canonical paths.
pub(crate) fn find(roots: &[PathBuf], url: &str) -> Target {
    let mut result = Target::NotFound;
    for root in roots {
        match find_in(root, url) {
            Target::NotFound => {}
            // Another folder may have a page at this path.
            Target::NoIndex => result = Target::NoIndex,
            found => return found,
        }
    }
    result
}

fn find_in(root: &Path, url: &str) -> Target {
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
    // Links are resolved before the check, so that none can lead out of the folder.
    let real = match wanted.canonicalize() {
        Ok(real) if real.starts_with(root) => real,
        Ok(_) => return Target::Forbidden,
        Err(_) => return Target::NotFound,
    };
    if !real.is_dir() {
        // "page.html/" must not be a second path of the file.
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
        // A relative location cannot lead to another host, as an absolute path with two slashes would. The encoding
        // makes it plain ASCII.
        let last = segments.last().copied().unwrap_or_default();
        Target::Redirect(format!(
            "./{}/",
            utf8_percent_encode(last, NON_ALPHANUMERIC)
        ))
    }
}

/// Names that are never served: parent folders, hidden files, and the separators and drives of Windows.
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
