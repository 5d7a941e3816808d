//! Stories, laws and storms
