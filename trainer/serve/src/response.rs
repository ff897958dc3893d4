//! The responses: whole files, byte ranges, "not modified", and errors.

use std::{
    fs::File,
    io::{self, Cursor, Read, Seek, SeekFrom},
    ops::Range,
    path::PathBuf,
};

use tiny_http::{Header, Method, Response, StatusCode};

use crate::files::{Found, Target, find};

/// A response whose body is read while it is sent.
pub(crate) type FileResponse = Response<Box<dyn Read + Send>>;

/// Answers a request for `url` under the folders `roots`.
pub(crate) fn respond(
    roots: &[PathBuf],
    method: &Method,
    url: &str,
    request: &[Header],
) -> FileResponse {
    match method {
        Method::Get | Method::Head => {}
        Method::Options => return preflight(),
        _ => {
            return text(405, "only GET and HEAD are supported")
                .with_header(header("Allow", "GET, HEAD, OPTIONS"));
        }
    }
    match find(roots, url) {
        Target::File(found) => file(found, request),
        Target::Redirect(place) => text(301, "the page of the folder is at another location")
            .with_header(header("Location", &place)),
        Target::NoIndex => text(404, "this folder has no index.html"),
        Target::NotFound => text(404, "there is no such file"),
        Target::Forbidden => text(403, "this path is not served"),
        Target::BadRequest => text(400, "this path cannot be decoded"),
    }
}

/// A file, or the range of it that was requested, or nothing if the client has it already.
fn file(found: Found, request: &[Header]) -> FileResponse {
    let asked = |name: &'static str| field(request, name);
    let known = asked("If-None-Match").is_some_and(|tags| {
        tags == "*"
            || tags
                .split(',')
                .any(|tag| tag.trim().trim_start_matches("W/") == found.etag)
    });
    if known {
        return with_file_headers(base(304, Box::new(io::empty()), found.len), &found);
    }
    // A range of another version of the file would be useless.
    let same_version = asked("If-Range").is_none_or(|tag| tag == found.etag);
    let range = asked("Range")
        .filter(|_| same_version)
        .map_or(ByteRange::Whole, |range| byte_range(range, found.len));
    match range {
        ByteRange::Whole => send(200, found, None),
        ByteRange::Bytes(range) => send(206, found, Some(range)),
        ByteRange::Unsatisfiable => {
            let size = format!("bytes */{}", found.len);
            text(416, "the file is shorter than that").with_header(header("Content-Range", &size))
        }
    }
}

fn send(status: u16, mut found: Found, range: Option<Range<u64>>) -> FileResponse {
    let bytes = range.clone().unwrap_or(0..found.len);
    if bytes.start > 0 && found.file.seek(SeekFrom::Start(bytes.start)).is_err() {
        return text(500, "the file cannot be read");
    }
    let length = bytes.end - bytes.start;
    let body = match found.file.try_clone() {
        Ok(file) => exactly(file, length),
        Err(_) => return text(500, "the file cannot be read"),
    };
    let mut response = with_file_headers(base(status, body, length), &found);
    if range.is_some() {
        let place = format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, found.len);
        response = response.with_header(header("Content-Range", &place));
    }
    response
}

/// The next `length` bytes of `file`. If the file has grown, no more than the announced length is sent.
fn exactly(file: File, length: u64) -> Box<dyn Read + Send> {
    Box::new(file.take(length))
}

/// The range that a `Range` header requests.
#[derive(Debug, PartialEq, Eq)]
enum ByteRange {
    /// The whole file: the header is absent, has an unknown unit, is malformed, or names several ranges.
    Whole,
    Bytes(Range<u64>),
    Unsatisfiable,
}

/// Parses a `Range` header (RFC 9110, section 14) for a file of `len` bytes.
fn byte_range(range: &str, len: u64) -> ByteRange {
    let Some((first, last)) = range
        .trim()
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return ByteRange::Whole;
    };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        // A suffix: the last bytes of the file.
        (Err(_), Ok(0)) if first.trim().is_empty() => ByteRange::Unsatisfiable,
        (Err(_), Ok(_)) if first.trim().is_empty() && len == 0 => ByteRange::Unsatisfiable,
        (Err(_), Ok(count)) if first.trim().is_empty() => {
            ByteRange::Bytes(len.saturating_sub(count)..len)
        }
        (Ok(first), _) if first >= len => ByteRange::Unsatisfiable,
        (Ok(first), Ok(last)) if last >= first => {
            ByteRange::Bytes(first..last.saturating_add(1).min(len))
        }
        (Ok(first), Err(_)) if last.trim().is_empty() => ByteRange::Bytes(first..len),
        _ => ByteRange::Whole,
    }
}

fn with_file_headers(response: FileResponse, found: &Found) -> FileResponse {
    response
        .with_header(header("Content-Type", found.media_type))
        .with_header(header("ETag", &found.etag))
        .with_header(header("Accept-Ranges", "bytes"))
}

/// The response to a preflight request: whether a page of another origin may send requests.
fn preflight() -> FileResponse {
    base(204, Box::new(io::empty()), 0)
        .with_header(header("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"))
        .with_header(header(
            "Access-Control-Allow-Headers",
            "Range, If-None-Match, If-Range",
        ))
        // Chromium requires this before a page of the public web may read from this machine.
        .with_header(header("Access-Control-Allow-Private-Network", "true"))
        .with_header(header("Access-Control-Max-Age", "600"))
}

fn text(status: u16, message: &str) -> FileResponse {
    let body = format!("{status}: {message}\n");
    let length = body.len() as u64;
    base(status, Box::new(Cursor::new(body)), length)
        .with_header(header("Content-Type", "text/plain; charset=utf-8"))
}

/// A response with the headers that all responses have.
fn base(status: u16, body: Box<dyn Read + Send>, length: u64) -> FileResponse {
    let headers = vec![
        header("Access-Control-Allow-Origin", "*"),
        header(
            "Access-Control-Expose-Headers",
            "Content-Length, Content-Range, ETag",
        ),
        // For cross-origin isolated pages (COEP) that load a bundle from this server.
        header("Cross-Origin-Resource-Policy", "cross-origin"),
        header("X-Content-Type-Options", "nosniff"),
        // Cached, but revalidated each time: files under development change.
        header("Cache-Control", "no-cache"),
        header("Server", "freeguide"),
    ];
    Response::new(
        StatusCode(status),
        headers,
        body,
        usize::try_from(length).ok(),
        None,
    )
    // Always send the length, which a page needs for its progress bar.
    .with_chunked_threshold(usize::MAX)
}

/// The value of a request header.
fn field<'a>(request: &'a [Header], name: &'static str) -> Option<&'a str> {
    request
        .iter()
        .find(|header| header.field.equiv(name))
        .map(|header| header.value.as_str())
}

/// A response header. The values are made by this server and are ASCII.
fn header(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).unwrap_or_else(|()| unreachable!("{name}: {value:?} is ASCII"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        assert_eq!(byte_range("bytes=0-0", 10), ByteRange::Bytes(0..1));
        assert_eq!(byte_range("bytes=3-", 10), ByteRange::Bytes(3..10));
        assert_eq!(byte_range("bytes=2-99", 10), ByteRange::Bytes(2..10));
        assert_eq!(byte_range("bytes=-4", 10), ByteRange::Bytes(6..10));
        assert_eq!(byte_range("bytes=-40", 10), ByteRange::Bytes(0..10));
        assert_eq!(
            byte_range("bytes=0-18446744073709551615", 10),
            ByteRange::Bytes(0..10)
        );
        for past in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(byte_range(past, 10), ByteRange::Unsatisfiable, "{past}");
        }
        assert_eq!(byte_range("bytes=0-", 0), ByteRange::Unsatisfiable);
        assert_eq!(byte_range("bytes=-1", 0), ByteRange::Unsatisfiable);
        for odd in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-3",
            "bytes=a-b",
            "items=0-1",
            "bytes=0-1,3-4",
        ] {
            assert_eq!(byte_range(odd, 10), ByteRange::Whole, "{odd}");
        }
    }
}
