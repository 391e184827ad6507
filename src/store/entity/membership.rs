use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "membership")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    pub role: i16,
    /// A copy of the account's, so that the list is one index scan and a removed member keeps the address that it ended with.
    pub email: String,
    /// A copy of the account's, kept in step while the membership stands.
    pub display_name: String,
    /// Address and name, folded for searching.
    pub search_text: String,
    pub joined_at: i64,
    pub removed_at: Option<i64>,
    /// When those sessions on it were used last that are no longer there.
    pub last_seen_at: Option<i64>,
    pub last_sign_in_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::workspace::Entity",
        from = "Column::WorkspaceId",
        to = "super::workspace::Column::Id"
    )]
    Workspace,
}

impl Related<super::workspace::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Workspace.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
