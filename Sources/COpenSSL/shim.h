// The parts of OpenSSL that Crypto gives a Swift face to.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
