/* For a reading of payload.def that is interested in names only. No guard, as above. */
#define U8(f)
#define U16(f)
#define U32(f)
#define U64(f)
#define S8(f)
#define BYTES(f)
#define LIST(f)
#define END
