//! Objects of a request: one way to read them all.

/// Defines a struct and reads it from a JSON object, or from `[]`: what PHP makes of an empty one. (What serde derives
/// takes other arrays too.) A member that is missing or `null` is the field's default, one that is not known is passed
/// over, one that comes twice is refused.
macro_rules! object {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(<$life:lifetime>)? {
            $($(#[$about:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub struct $name $(<$life>)? {
            $($(#[$about])* pub $field: $type,)*
        }

        const _: () = {
            use serde::de::{
                Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
            };

            #[allow(non_camel_case_types)]
            #[derive(Clone, Copy)]
            enum Member {
                $($field,)*
                Unknown,
            }

            impl<'de> Deserialize<'de> for Member {
                fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                    struct Reads;
                    impl Visitor<'_> for Reads {
                        type Value = Member;
                        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                            f.write_str("a name")
                        }
                        fn visit_str<E: Error>(self, name: &str) -> Result<Member, E> {
                            Ok(match name {
                                $(stringify!($field) => Member::$field,)*
                                _ => Member::Unknown,
                            })
                        }
                    }
                    d.deserialize_identifier(Reads)
                }
            }

            impl<'de $(: $life, $life)?> Deserialize<'de> for $name $(<$life>)? {
                fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                    struct Reads $(<$life>)? (std::marker::PhantomData<fn() -> $name $(<$life>)?>);
                    impl<'de $(: $life, $life)?> Visitor<'de> for Reads $(<$life>)? {
                        type Value = $name $(<$life>)?;
                        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                            f.write_str("an object")
                        }
                        fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                            match seq.next_element::<IgnoredAny>()? {
                                None => Ok(Self::Value::default()),
                                Some(_) => Err(Error::custom("an array where an object belongs")),
                            }
                        }
                        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                            let mut object = Self::Value::default();
                            let mut seen = 0_u64;
                            while let Some(member) = map.next_key::<Member>()? {
                                match member {
                                    $(Member::$field => {
                                        if seen >> Member::$field as u32 & 1 == 1 {
                                            return Err(Error::duplicate_field(stringify!($field)));
                                        }
                                        seen |= 1 << Member::$field as u32;
                                        if let Some(value) = map.next_value::<Option<$type>>()? {
                                            object.$field = value;
                                        }
                                    })*
                                    Member::Unknown => drop(map.next_value::<IgnoredAny>()?),
                                }
                            }
                            Ok(object)
                        }
                    }
                    d.deserialize_any(Reads(std::marker::PhantomData))
                }
            }
        };
    };
}

pub(super) use object;
