//! What only watches: log groups and alarms. They are named, so that others can refer to them, and do
//! nothing.

use super::storage::end;
use super::{Made, Site};
use crate::stack::error::Done;
use crate::stack::fields::Fields;
use crate::world::World;

pub(super) fn log_group(world: &mut World, site: &Site<'_>, fields: &mut Fields) -> Done<Made> {
    let name = site.physical(fields, "LogGroupName", 512)?;
    fields.pass(&["RetentionInDays", "Tags"]);
    end(fields)?;
    let (region, account) = (&world.config.region, &world.config.account);
    Ok(Made::named(&name)
        .with("Arn", format!("arn:aws:logs:{region}:{account}:log-group:{name}:*")))
}

/// An alarm or a dashboard, whatever its properties: nothing measures here.
pub(super) fn alarm(world: &mut World, site: &Site<'_>, fields: Fields) -> Done<Made> {
    drop(fields);
    let name = site.name(255);
    let (region, account) = (&world.config.region, &world.config.account);
    Ok(Made::named(&name)
        .with("Arn", format!("arn:aws:cloudwatch:{region}:{account}:alarm:{name}")))
}
