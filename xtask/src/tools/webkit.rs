//! WebKitGTK's browser and the driver that tests it, on systems that package both.

use super::system::{self, Package};
use crate::sh::{say, which};

/// Provides WebKitWebDriver with MiniBrowser, and Xvfb, a screen for it, where apt packages them. The tests skip WebKit where
/// they are missing.
pub fn webkit() {
    let there = ["WebKitWebDriver", "Xvfb"]
        .iter()
        .all(|program| which(program).is_some());
    if there || which("apt-get").is_none() {
        return;
    }
    let package = Package {
        usual: "webkit2gtk-driver xvfb",
        brew: "",
    };
    if let Err(error) = system::install(&package) {
        let first = format!("{error}");
        let first = first.lines().next().unwrap_or_default();
        say(&format!(
            "nothing is tested in WebKit; to install it: {first}"
        ));
    }
}
