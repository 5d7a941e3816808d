//! The order in which resources are made: what a resource names, and what it says it depends on, is there
//! before it. Nothing else may be counted on, so a custom resource comes as early as it may: a template that
//! forgot a dependency of it does not work here by luck.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Done, StackError};
use super::scope;
use super::template::Template;

/// The logical ids of the resources that are wanted, in order.
///
/// # Errors
/// Names the resources of a circle, and a dependency that is none.
pub(super) fn of(template: &Template, wanted: &BTreeSet<String>) -> Done<Vec<String>> {
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for id in wanted {
        let resource = template.resource(id)?;
        let mut named = BTreeSet::new();
        let known = |name: &&str| wanted.contains(*name);
        scope::names(&resource.properties, &mut |name| {
            named.insert(name);
        });
        for name in &resource.depends_on {
            if !template.resources.contains_key(name) {
                let what = format!("there is no resource {name}");
                return Err(StackError::new(format!("{id}.DependsOn"), what));
            }
            named.insert(name);
        }
        needs.insert(id, named.into_iter().filter(known).collect());
    }
    let mut order: Vec<String> = Vec::new();
    while !needs.is_empty() {
        let ready = |(_, named): &(&&str, &BTreeSet<&str>)| named.is_empty();
        let is_custom = |id: &str| template.resources.get(id).is_some_and(|it| it.is_custom());
        let next = needs.iter().filter(ready).map(|(id, _)| *id).min_by_key(|id| !is_custom(id));
        let Some(next) = next else {
            let circle: Vec<&str> = needs.keys().copied().collect();
            let what = "they depend on each other; take one of the references out";
            return Err(StackError::new(circle.join(", "), what));
        };
        needs.remove(next);
        needs.values_mut().for_each(|named| {
            named.remove(next);
        });
        order.push(next.to_owned());
    }
    Ok(order)
}
