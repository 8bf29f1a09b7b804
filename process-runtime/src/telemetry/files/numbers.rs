//! Writes numbers in JSON as ProtoJSON has them. JSON has no form for `NaN` and the infinities. `serde_json` writes
//! `null` for them, and their values would be lost. ProtoJSON writes the texts `"NaN"`, `"Infinity"` and `"-Infinity"`.
//! The content of requests does not belong here.

use std::fmt::Display;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Returns a value as JSON, with each float as ProtoJSON has it.
pub(super) fn to_vec(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Numbers(value))
}

/// A value, a serializer, or a part of a serializer that passes everything on except for floats that JSON lacks.
struct Numbers<T>(T);

impl<T: Serialize + ?Sized> Serialize for Numbers<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Numbers(serializer))
    }
}

/// Passes values without parts on.
macro_rules! pass {
    ($($method:ident($($value:ident: $kind:ty)?);)*) => {
        $(fn $method(self $(, $value: $kind)?) -> Result<S::Ok, S::Error> {
            self.0.$method($($value)?)
        })*
    };
}

impl<S: Serializer> Serializer for Numbers<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Numbers<S::SerializeSeq>;
    type SerializeTuple = Numbers<S::SerializeTuple>;
    type SerializeTupleStruct = Numbers<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Numbers<S::SerializeTupleVariant>;
    type SerializeMap = Numbers<S::SerializeMap>;
    type SerializeStruct = Numbers<S::SerializeStruct>;
    type SerializeStructVariant = Numbers<S::SerializeStructVariant>;

    fn serialize_f64(self, number: f64) -> Result<S::Ok, S::Error> {
        match number {
            f64::INFINITY => self.0.serialize_str("Infinity"),
            f64::NEG_INFINITY => self.0.serialize_str("-Infinity"),
            number if number.is_nan() => self.0.serialize_str("NaN"),
            number => self.0.serialize_f64(number),
        }
    }

    fn serialize_f32(self, number: f32) -> Result<S::Ok, S::Error> {
        if number.is_finite() { self.0.serialize_f32(number) } else { self.serialize_f64(number.into()) }
    }

    pass! {
        serialize_bool(value: bool); serialize_i8(value: i8); serialize_i16(value: i16); serialize_i32(value: i32); serialize_i64(value: i64);
        serialize_i128(value: i128); serialize_u8(value: u8); serialize_u16(value: u16); serialize_u32(value: u32); serialize_u64(value: u64);
        serialize_u128(value: u128); serialize_char(value: char); serialize_str(value: &str); serialize_bytes(value: &[u8]); serialize_none();
        serialize_unit(); serialize_unit_struct(value: &'static str);
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Numbers(value))
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        at: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit_variant(name, at, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Numbers(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        at: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, at, variant, &Numbers(value))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.0.serialize_seq(length).map(Numbers)
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.0.serialize_tuple(length).map(Numbers)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.0.serialize_tuple_struct(name, length).map(Numbers)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        at: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.0.serialize_tuple_variant(name, at, variant, length).map(Numbers)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.0.serialize_map(length).map(Numbers)
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.0.serialize_struct(name, length).map(Numbers)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        at: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.0.serialize_struct_variant(name, at, variant, length).map(Numbers)
    }

    fn collect_str<T: Display + ?Sized>(self, text: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(text)
    }
}

/// Passes the parts of a list, an object or a variant on.
macro_rules! parts {
    ($($compound:ident: $($method:ident($($key:ident)?)),+;)*) => {
        $(impl<S: $compound> $compound for Numbers<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            $(fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($key: &'static str,)?
                part: &T,
            ) -> Result<(), S::Error> {
                self.0.$method($($key,)? &Numbers(part))
            })+

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        })*
    };
}

parts! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeMap: serialize_key(), serialize_value();
    SerializeStruct: serialize_field(key);
    SerializeStructVariant: serialize_field(key);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Serialize)]
    enum Shape {
        Unit,
        One(f64),
        Two(f32, f64),
        Fields { at: Option<f64> },
    }

    #[test]
    fn every_float_is_written_in_a_form_that_reads_back() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        let shapes =
            [Shape::Unit, Shape::One(nan), Shape::Two(f32::INFINITY, -inf), Shape::Fields { at: Some(inf) }];
        let value =
            (BTreeMap::from([("a", vec![0.5, -0.0, nan])]), Some(1_u64), shapes, "Infinity", None::<f64>);
        let text = String::from_utf8(to_vec(&value).unwrap()).unwrap();
        let expected = r#"[{"a":[0.5,-0.0,"NaN"]},1,["Unit",{"One":"NaN"},{"Two":["Infinity","-Infinity"]},{"Fields":{"at":"Infinity"}}],"Infinity",null]"#;
        assert_eq!(text, expected);
    }
}
