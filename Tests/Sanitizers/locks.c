// locks: tells the thread sanitizer of what Swift's Mutex does where it has to wait. Its short ways are inlined and seen; the long ones, of
// which one thread's unlocking and the next one's locking are made, lie in a library that was built without the sanitizer, so that all that
// a contended lock guards would be told as a race. Preloaded by `make tsan`; changes nothing of what the lock does.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

// Missing where a program is without the sanitizer, as those that start the tests are.
__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self

// Synchronization._MutexHandle._lockSlow(_: UInt32) and ._unlockSlow().
SWIFT void lock_slow(uint32_t thread, SELF) __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
SWIFT void unlock_slow(SELF) __asm__("$s15Synchronization12_MutexHandleV11_unlockSlowyyF");

typedef SWIFT void (*Lock)(uint32_t thread, SELF);
typedef SWIFT void (*Unlock)(SELF);

static Lock lock;
static Unlock unlock;

__attribute__((constructor)) static void find(void) {
    lock = (Lock)dlsym(RTLD_NEXT, "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
    unlock = (Unlock)dlsym(RTLD_NEXT, "$s15Synchronization12_MutexHandleV11_unlockSlowyyF");
}

SWIFT void lock_slow(uint32_t thread, SELF) {
    lock(thread, self);
    if (__tsan_acquire) __tsan_acquire(self);
}

SWIFT void unlock_slow(SELF) {
    if (__tsan_release) __tsan_release(self);
    unlock(self);
}
