import "./client_helpers.mjs";
