use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub action: i16,
    pub actor_kind: i16,
    pub actor_user_id: Option<Uuid>,
    pub actor_name: Option<String>,
    pub target_user_id: Option<Uuid>,
    pub target_invitation_id: Option<Uuid>,
    pub occurred_at: i64,
    pub client_address: String,
    /// A JSON object of strings.
    pub details: String,
    pub repeat_count: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
