//! Errors as JavaScript sees them.

use freeguide::bundle::BundleError;
use freeguide::classifier::ClassifierError;
use freeguide::self_test::SelfTestError;
use freeguide::settings::RequestError;
use js_sys::{Error, Reflect};
use wasm_bindgen::JsValue;

/// A failure on its way to JavaScript: an `Error` with a `code` and, where there are several
/// kinds, a `detail`.
pub struct Failure {
    code: &'static str,
    detail: Option<&'static str>,
    message: String,
}

impl Failure {
    /// The request makes no sense.
    pub fn input(message: impl ToString) -> Self {
        Self {
            code: "input",
            detail: None,
            message: message.to_string(),
        }
    }

    /// The device failed.
    pub fn device(message: impl ToString) -> Self {
        Self {
            code: "device",
            detail: None,
            message: message.to_string(),
        }
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        Self {
            code: "bundle",
            detail: Some(error.kind()),
            message: error.to_string(),
        }
    }
}

impl From<ClassifierError> for Failure {
    fn from(error: ClassifierError) -> Self {
        let message = error.to_string();
        match error {
            ClassifierError::File(error) => error.into(),
            ClassifierError::Images { .. } => Self::input(message),
            ClassifierError::Description(_) | ClassifierError::Layers(_) => Self {
                code: "bundle",
                detail: Some("bad-weights"),
                message,
            },
        }
    }
}

impl From<SelfTestError> for Failure {
    fn from(error: SelfTestError) -> Self {
        Self {
            code: "self-test",
            detail: None,
            message: error.to_string(),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::input(error)
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let error = Error::new(&failure.message);
        // Setting a property of an object that was made here cannot fail.
        let set = |key: &str, value: &str| Reflect::set(&error, &key.into(), &value.into());
        let _ = set("code", failure.code);
        if let Some(detail) = failure.detail {
            let _ = set("detail", detail);
        }
        error.into()
    }
}
