// zlib, with the two calls that are macros made into functions that Swift can see.
#include <zlib.h>

static inline int signalbox_deflateInit2(z_stream *stream, int level, int windowBits, int memLevel) {
    return deflateInit2(stream, level, Z_DEFLATED, windowBits, memLevel, Z_DEFAULT_STRATEGY);
}

static inline int signalbox_inflateInit2(z_stream *stream, int windowBits) {
    return inflateInit2(stream, windowBits);
}
