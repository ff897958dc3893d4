//! The network of a bundle.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::network::{Fields, UNetConfig};

/// The network and its configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
// There is one for each model, so its size does not matter.
#[allow(clippy::large_enum_variant)]
pub enum Network {
    /// The U-Net after ADM.
    UNet(UNetConfig),
    /// A network that is compiled into a runtime of its own (`cargo xtask compile-onnx`). No other program has it.
    Compiled(Compiled),
}

/// The identity of a compiled network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compiled {
    /// The SHA-256 of the ONNX file that it was compiled from, in lower-case hexadecimal digits.
    pub onnx_sha256: String,
}

/// The fields besides the U-Net's.
#[derive(Default)]
struct OtherFields {
    kind: Option<Kind>,
    onnx_sha256: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    UNet,
    Compiled,
}

impl<'de> Deserialize<'de> for Network {
    /// Reads the fields of all kinds of networks, and checks the kind afterwards. serde's own tagged enums buffer an object
    /// of any size until they find the tag.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl<'de> Visitor<'de> for Whole {
            type Value = Network;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a network")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Network, A::Error> {
                let mut other = OtherFields::default();
                let rest = WithoutOther {
                    other: &mut other,
                    map,
                };
                let fields = Fields::deserialize(MapAccessDeserializer::new(rest))?;
                other.network(fields)
            }
        }
        deserializer.deserialize_map(Whole)
    }
}

impl OtherFields {
    fn network<E: Error>(self, fields: Fields) -> Result<Network, E> {
        match (self.kind, self.onnx_sha256) {
            (None, _) => Err(E::missing_field("kind")),
            (Some(Kind::UNet), None) => {
                let network = UNetConfig::try_from(fields).map_err(E::custom)?;
                Ok(Network::UNet(network))
            }
            (Some(Kind::UNet), Some(_)) => Err(E::custom("a unet has no field `onnx_sha256`")),
            (Some(Kind::Compiled), Some(onnx_sha256)) if fields == Fields::default() => {
                Ok(Network::Compiled(Compiled { onnx_sha256 }))
            }
            (Some(Kind::Compiled), None) => Err(E::missing_field("onnx_sha256")),
            (Some(Kind::Compiled), Some(_)) => Err(E::custom(
                "a compiled network has only the field `onnx_sha256`",
            )),
        }
    }
}

/// An object without the fields that go to `other`.
struct WithoutOther<'a, A> {
    other: &'a mut OtherFields,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithoutOther<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            match key.as_str() {
                "kind" => self.other.kind = Some(self.map.next_value()?),
                "onnx_sha256" => self.other.onnx_sha256 = Some(self.map.next_value()?),
                _ => return seed.deserialize(key.into_deserializer()).map(Some),
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Network, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn the_kind_may_stand_anywhere() {
        let unet = Network::UNet(UNetConfig::tiny());
        let json = serde_json::to_string(&unet).unwrap();
        assert_eq!(read(&json).as_ref(), Ok(&unet));
        let last = json.replacen(r#""kind":"unet","#, "", 1);
        let last = format!(r#"{},"kind":"unet"}}"#, last.strip_suffix('}').unwrap());
        assert_eq!(read(&last), Ok(unet));
        let compiled = Network::Compiled(Compiled {
            onnx_sha256: "0".repeat(64),
        });
        assert_eq!(
            read(&serde_json::to_string(&compiled).unwrap()),
            Ok(compiled)
        );
    }

    #[test]
    fn fields_of_the_other_kind_are_refused() {
        let refused = |json: &str, why: &str| {
            let error = read(json).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        };
        refused("{}", "missing field `kind`");
        refused(r#"{"kind": "vit"}"#, "unknown variant `vit`");
        refused(r#"{"kind": "unet"}"#, "missing field `base_channels`");
        refused(r#"{"kind": "unet", "depth": 3}"#, "unknown field `depth`");
        refused(r#"{"kind": "compiled"}"#, "missing field `onnx_sha256`");
        refused(
            r#"{"kind": "compiled", "onnx_sha256": "", "heads": 1}"#,
            "has only the field `onnx_sha256`",
        );
        refused(
            r#"{"kind": "unet", "onnx_sha256": "", "preset": "adm64"}"#,
            "a unet has no field `onnx_sha256`",
        );
    }
}
