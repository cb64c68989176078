//! An event of the child's as one JSON object.
