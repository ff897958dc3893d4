//! A configuration and the fields that a file may give, declared by one list.

/// Declares a configuration, and a type of optional fields that is read from files, where a preset or the defaults give the
/// fields that are left out. Every field is listed once, with its default:
///
/// - `required`: fields without a default, which a file must give unless it names a preset.
/// - `format 1`: fields of every version of the bundle format.
/// - `format 2` and so on: fields that these versions of the format added.
///
/// `read by` names the function that deserialises a field, if it is not the type's own.
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
        format 3 { $(
            $(#[$meta3:meta])* $name3:ident: $type3:ty = $default3:expr;
        )* }
        format 4 { $(
            $(#[$meta4:meta])* $name4:ident: $type4:ty = $default4:expr;
        )* }
        format 5 { $(
            $(#[$meta5:meta])* $name5:ident: $type5:ty = $default5:expr;
        )* }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(try_from = "Fields")]
        pub struct $config {
            $($(#[$meta])* pub $name: $type,)*
            $($(#[$meta1])* pub $name1: $type1,)*
            $($(#[$meta2])* pub $name2: $type2,)*
            $($(#[$meta3])* pub $name3: $type3,)*
            $($(#[$meta4])* pub $name4: $type4,)*
            $($(#[$meta5])* pub $name5: $type5,)*
        }

        /// The fields that a file gives, and the preset that it names.
        #[derive(Debug, Default, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $fields {
            preset: Option<String>,
            $($(#[serde(default, deserialize_with = $read)])? $name: Option<$type>,)*
            $($(#[serde(default, deserialize_with = $read1)])? $name1: Option<$type1>,)*
            $($name2: Option<$type2>,)*
            $($name3: Option<$type3>,)*
            $($name4: Option<$type4>,)*
            $($name5: Option<$type5>,)*
        }

        impl $fields {
            /// The configuration with these fields, and all others from `preset`.
            fn over(self, preset: $config) -> $config {
                $config {
                    $($name: self.$name.unwrap_or(preset.$name),)*
                    $($name1: self.$name1.unwrap_or(preset.$name1),)*
                    $($name2: self.$name2.unwrap_or(preset.$name2),)*
                    $($name3: self.$name3.unwrap_or(preset.$name3),)*
                    $($name4: self.$name4.unwrap_or(preset.$name4),)*
                    $($name5: self.$name5.unwrap_or(preset.$name5),)*
                }
            }

            /// The configuration with these fields, and all others by default.
            fn over_defaults(self) -> Result<$config, String> {
                Ok($config {
                    $($name: self.$name.ok_or(concat!("missing field `", stringify!($name), "`"))?,)*
                    $($name1: self.$name1.unwrap_or($default1),)*
                    $($name2: self.$name2.unwrap_or($default2),)*
                    $($name3: self.$name3.unwrap_or($default3),)*
                    $($name4: self.$name4.unwrap_or($default4),)*
                    $($name5: self.$name5.unwrap_or($default5),)*
                })
            }
        }

        impl $config {
            /// The configuration with these required fields, and all others by default.
            fn with_defaults($($name: $type),*) -> Self {
                Self {
                    $($name,)*
                    $($name1: $default1,)*
                    $($name2: $default2,)*
                    $($name3: $default3,)*
                    $($name4: $default4,)*
                    $($name5: $default5,)*
                }
            }

            /// The oldest version of the bundle format that can describe the configuration: fields of later versions have
            /// their defaults.
            pub fn least_version(&self) -> u64 {
                if false $(|| self.$name5 != $default5)* {
                    5
                } else if false $(|| self.$name4 != $default4)* {
                    4
                } else if false $(|| self.$name3 != $default3)* {
                    3
                } else if false $(|| self.$name2 != $default2)* {
                    2
                } else {
                    1
                }
            }
        }
    };
}
pub(super) use with_preset;
