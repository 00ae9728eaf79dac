//! What may be done with a request, by its consents.
