//! The level of a line, where the line says it in one of the usual ways.
