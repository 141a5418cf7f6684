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
/// Open incidents only. It holds [`STATUS`] and [`SERVICE`] and nothing else of a record, so a change of neither costs no write
/// here.
pub(crate) const OPEN_INDEX: &str = "GSI2";
pub(crate) const OPEN_PK: &str = "gsi2pk";
pub(crate) const OPEN_SK: &str = "gsi2sk";
pub(crate) const STATUS: &str = "status";
pub(crate) const SERVICE: &str = "service";
pub(crate) const EXPIRES_AT: &str = "expires_at";

/// `DynamoDB` takes no longer sort key (DynamoDB developer guide, "Quotas").
pub(crate) const LONGEST_KEY: usize = 1024;

/// Creates the table: keys `pk`/`sk`, index `GSI1` on `gsi1pk`/`gsi1sk` with whole items, slim index `GSI2` on `gsi2pk`/`gsi2sk`,
/// billed on demand.
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
    let index = |name: &str, pk: &str, sk: &str, projection: Projection| {
        GlobalSecondaryIndex::builder()
            .index_name(name)
            .key_schema(schema(pk, KeyType::Hash)?)
            .key_schema(schema(sk, KeyType::Range)?)
            .projection(projection)
            .build()
    };
    let whole = Projection::builder().projection_type(ProjectionType::All).build();
    let slim = Projection::builder().projection_type(ProjectionType::Include);
    let slim = slim.non_key_attributes(STATUS).non_key_attributes(SERVICE).build();
    let mut request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(schema(PK, KeyType::Hash).map_err(built)?)
        .key_schema(schema(SK, KeyType::Range).map_err(built)?)
        .global_secondary_indexes(index(INDEX, INDEX_PK, INDEX_SK, whole).map_err(built)?)
        .global_secondary_indexes(index(OPEN_INDEX, OPEN_PK, OPEN_SK, slim).map_err(built)?);
    for name in [PK, SK, INDEX_PK, INDEX_SK, OPEN_PK, OPEN_SK] {
        request = request.attribute_definitions(attribute(name).map_err(built)?);
    }
    request.send().await.map(drop).map_err(Box::new)
}
