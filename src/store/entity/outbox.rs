use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: i16,
    /// The address that it goes to.
    pub recipient: String,
    pub workspace_id: Option<Uuid>,
    pub invitation_id: Option<Uuid>,
    pub user_id: Option<Uuid>,
    pub issue: i32,
    pub created_at: i64,
    pub next_attempt_at: i64,
    pub attempt_count: i32,
    pub lease_id: Option<Uuid>,
    pub leased_until: Option<i64>,
    pub settled_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
