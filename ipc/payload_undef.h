/* Ends one reading of payload.def. No guard: included once for each reading. */
#undef PAYLOAD
#undef U8
#undef U16
#undef U32
#undef U64
#undef S8
#undef BYTES
#undef LIST
#undef END
