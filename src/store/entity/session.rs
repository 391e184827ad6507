use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    /// The beginning of the token's hash.
    #[sea_orm(primary_key, auto_increment = false)]
    pub token_key: i64,
    #[sea_orm(unique)]
    pub id: Uuid,
    pub token_hash: Vec<u8>,
    pub sign_in_id: Uuid,
    pub user_id: Uuid,
    pub workspace_id: Uuid,
    pub created_at: i64,
    pub last_used_at: i64,
    pub expires_at: i64,
    pub authenticated_at: i64,
    /// That of the membership, until the session ends.
    pub role: Option<i16>,
    pub ended_at: Option<i64>,
    /// Whether what ended it was its own sign-out.
    pub signed_out: bool,
    pub user_agent: String,
    pub client_address: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
