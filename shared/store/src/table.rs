//! The table's shape: for the local stack and tests; AWS gets the same from the template.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};

pub(crate) const PK: &str = "pk";
pub(crate) const SK: &str = "sk";
pub(crate) const INDEX: &str = "GSI1";
pub(crate) const INDEX_PK: &str = "gsi1pk";
pub(crate) const INDEX_SK: &str = "gsi1sk";
pub(crate) const EXPIRES_AT: &str = "expires_at";

/// Creates the table: keys `pk`/`sk`, one index `GSI1` on `gsi1pk`/`gsi1sk`, billed on demand.
///
/// # Errors
/// What `CreateTable` says, for example that the table exists.
pub async fn create_table(
    client: &aws_sdk_dynamodb::Client,
    table: &str,
) -> Result<(), Box<SdkError<CreateTableError>>> {
    let schema = |name: &str, kind: KeyType| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let attribute =
        |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    let built = |error| Box::new(SdkError::construction_failure(error));
    let index = GlobalSecondaryIndex::builder()
        .index_name(INDEX)
        .key_schema(schema(INDEX_PK, KeyType::Hash).map_err(built)?)
        .key_schema(schema(INDEX_SK, KeyType::Range).map_err(built)?)
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .map_err(built)?;
    let mut request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(schema(PK, KeyType::Hash).map_err(built)?)
        .key_schema(schema(SK, KeyType::Range).map_err(built)?)
        .global_secondary_indexes(index);
    for name in [PK, SK, INDEX_PK, INDEX_SK] {
        request = request.attribute_definitions(attribute(name).map_err(built)?);
    }
    request.send().await.map(drop).map_err(Box::new)
}
