//! Messages as bytes: what no generated client would send.

use rolecall::grpc::pb;
use std::collections::BTreeMap;
use tonic::{Request, Response, Status};

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};

use super::As;
use super::codec::Raw;

impl As {
    /// Calls the method at `path` with a message of these bytes.
    pub async fn raw(&self, path: &str, message: Vec<u8>) -> Result<Response<Vec<u8>>, Status> {
        let mut client = tonic::client::Grpc::new(self.connection());
        client.ready().await.unwrap();
        client.unary(Request::new(message), path.parse().unwrap(), Raw).await
    }
}

/// One method of the contract.
#[derive(Clone, Debug)]
pub struct Method {
    /// `UserService`
    pub service: String,
    pub name: String,
    /// The request's name, without its package.
    pub request: String,
}

impl Method {
    pub fn path(&self) -> String {
        format!("/rolecall.v1.{}/{}", self.service, self.name)
    }
}

/// One field of a message.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub number: u32,
    pub kind: Type,
    pub repeated: bool,
}

/// The contract, as the descriptors have it.
pub struct Contract {
    pub methods: Vec<Method>,
    /// The fields of each message, by its name without its package.
    pub messages: BTreeMap<String, Vec<Field>>,
}

impl Contract {
    pub fn read() -> Self {
        let set = prost_types::FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
        let (mut methods, mut messages) = (Vec::new(), BTreeMap::new());
        for file in set.file.iter().filter(|file| file.package() == "rolecall.v1") {
            for message in &file.message_type {
                let fields = message.field.iter().map(|field| Field {
                    name: field.name().to_owned(),
                    number: u32::try_from(field.number()).unwrap(),
                    kind: field.r#type(),
                    repeated: field.label() == Label::Repeated,
                });
                messages.insert(message.name().to_owned(), fields.collect());
            }
            for service in &file.service {
                methods.extend(service.method.iter().map(|method| Method {
                    service: service.name().to_owned(),
                    name: method.name().to_owned(),
                    request: method.input_type().rsplit('.').next().unwrap().to_owned(),
                }));
            }
        }
        Self { methods, messages }
    }

    pub fn method(&self, service: &str, name: &str) -> &Method {
        self.methods.iter().find(|method| method.service == service && method.name == name).unwrap()
    }

    pub fn field(&self, message: &str, name: &str) -> &Field {
        let found = self.messages[message].iter().find(|field| field.name == name);
        found.unwrap_or_else(|| panic!("{message} has no field {name}"))
    }
}

impl Field {
    /// A field of which nothing but its number is known.
    pub fn plain(number: u32) -> Self {
        Self { name: String::new(), number, kind: Type::Int64, repeated: false }
    }

    /// This field with a number (also that of an enum value or a bool) in it.
    pub fn number(&self, value: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(u64::from(self.number) << 3, &mut bytes);
        prost::encoding::encode_varint(value.cast_unsigned(), &mut bytes);
        bytes
    }

    /// This field with bytes (also those of a text or a message) in it.
    pub fn bytes(&self, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(u64::from(self.number) << 3 | 2, &mut bytes);
        prost::encoding::encode_varint(value.len() as u64, &mut bytes);
        bytes.extend_from_slice(value);
        bytes
    }
}
