//! One list of fields for a configuration and for what is read of a file, where a preset may stand for some of them.

/// Declares a configuration and the fields of which a file may give any: every field once, with its default.
///
/// - `required`: fields that a file must give unless it names a preset.
/// - `format 1`: fields of every version of the bundle format.
/// - `format 2`: fields that came with version 2 of it.
///
/// `read by` names the function that reads a field, where it is not its type's own.
macro_rules! with_preset {
    (
        $(#[$about:meta])*
        $config:ident, $fields:ident:
        required { $(
            $(#[$meta:meta])* $name:ident: $type:ty $(, read by $read:tt)?;
        )* }
        format 1 { $(
            $(#[$meta1:meta])* $name1:ident: $type1:ty = $default1:expr $(, read by $read1:tt)?;
        )* }
        format 2 { $(
            $(#[$meta2:meta])* $name2:ident: $type2:ty = $default2:expr;
        )* }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(try_from = "Fields")]
        pub struct $config {
            $($(#[$meta])* pub $name: $type,)*
            $($(#[$meta1])* pub $name1: $type1,)*
            $($(#[$meta2])* pub $name2: $type2,)*
        }

        /// What a file says of the configuration, with `preset`.
        #[derive(Debug, Default, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $fields {
            preset: Option<String>,
            $($(#[serde(default, deserialize_with = $read)])? $name: Option<$type>,)*
            $($(#[serde(default, deserialize_with = $read1)])? $name1: Option<$type1>,)*
            $($name2: Option<$type2>,)*
        }

        impl $fields {
            /// The configuration that has these fields, and all others of `preset`.
            fn over(self, preset: $config) -> $config {
                $config {
                    $($name: self.$name.unwrap_or(preset.$name),)*
                    $($name1: self.$name1.unwrap_or(preset.$name1),)*
                    $($name2: self.$name2.unwrap_or(preset.$name2),)*
                }
            }

            /// The configuration that has these fields, and all others by default.
            fn over_defaults(self) -> Result<$config, String> {
                Ok($config {
                    $($name: self.$name.ok_or(concat!("missing field `", stringify!($name), "`"))?,)*
                    $($name1: self.$name1.unwrap_or($default1),)*
                    $($name2: self.$name2.unwrap_or($default2),)*
                })
            }
        }

        impl $config {
            /// The network with these fields and all others by default.
            fn with_defaults($($name: $type),*) -> Self {
                Self {
                    $($name,)*
                    $($name1: $default1,)*
                    $($name2: $default2,)*
                }
            }

            /// Whether version 1 of the bundle format can describe the network: all that came later is at its default.
            pub fn is_plain(&self) -> bool {
                true $(&& self.$name2 == $default2)*
            }
        }
    };
}
pub(super) use with_preset;
