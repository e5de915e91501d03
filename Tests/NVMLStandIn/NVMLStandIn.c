// NVMLStandIn: a library with the functions of NVIDIA's that the server calls, and made-up GPUs, for machines that have none. Not a model
// of a driver: it answers what its settings say. The layouts are those of NVIDIA's NVML API reference, written down a second time.
//
// The settings are a file beside the library, named like it with ".settings" behind, and read again at every count of the devices, so
// that a test may change them while a server runs. Without that file there are two GPUs. Every copy of the library is one for itself.
// Its lines:
//
//     init CODE                                          what nvmlInit_v2 answers
//     count CODE                                         what nvmlDeviceGetCount_v2 answers
//     gpu USAGE USED TOTAL TEMPERATURE FAILS CODE NAME   one GPU: percent, bytes, bytes, degrees; NAME is the rest of the line
//
// FAILS is none, or which call answers CODE: handle, name, utilization, memory or temperature.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, INSUFFICIENT_SIZE = 7, DEVICES_MAX = 128 };

typedef int nvmlReturn_t;
typedef struct nvmlDevice_st *nvmlDevice_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;

struct nvmlDevice_st {
    unsigned int usage, temperature;
    unsigned long long used, total;
    char fails[16];
    nvmlReturn_t code;
    char name[256];
};

static struct nvmlDevice_st devices[DEVICES_MAX];
static unsigned int device_count;
static nvmlReturn_t init_code, count_code;
static int started;

// What a test may ask.
int standInStarts, standInShutdowns;

static const char *const two_gpus =
    "gpu 45 30 100 61 none 0 Stand-in GPU A\n"
    "gpu 0 75 100 40 none 0 Stand-in GPU B\n";

static void take(const char *line) {
    struct nvmlDevice_st one = {0};
    if (sscanf(line, "init %d", &init_code) == 1 || sscanf(line, "count %d", &count_code) == 1) return;
    int fields = sscanf(line, "gpu %u %llu %llu %u %15s %d %255[^\n]", &one.usage, &one.used, &one.total, &one.temperature, one.fails,
                        &one.code, one.name);
    if (fields == 7 && device_count < DEVICES_MAX) devices[device_count++] = one;
}

static void read_settings(void) {
    Dl_info own;
    char path[4096], line[512];
    device_count = 0;
    init_code = count_code = SUCCESS;
    FILE *file = NULL;
    if (dladdr((void *)read_settings, &own) && own.dli_fname) {
        snprintf(path, sizeof path, "%s.settings", own.dli_fname);
        file = fopen(path, "r");
    }
    if (!file) {
        take(two_gpus);
        take(strchr(two_gpus, '\n') + 1);
        return;
    }
    while (fgets(line, sizeof line, file)) take(line);
    fclose(file);
}

// What a call about a device answers before it looks at its own figure.
static nvmlReturn_t refusal(nvmlDevice_t device, const char *call) {
    if (!started) return UNINITIALIZED;
    if (device < devices || device >= devices + DEVICES_MAX) return INVALID_ARGUMENT;
    return strcmp(device->fails, call) == 0 ? device->code : SUCCESS;
}

nvmlReturn_t nvmlInit_v2(void) {
    read_settings();
    standInStarts++;
    if (init_code == SUCCESS) started = 1;
    return init_code;
}

nvmlReturn_t nvmlShutdown(void) {
    if (!started) return UNINITIALIZED;
    standInShutdowns++;
    started = 0;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) {
    if (!started) return UNINITIALIZED;
    read_settings();
    *count = device_count;
    return count_code;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
    if (!started) return UNINITIALIZED;
    if (index >= device_count) return INVALID_ARGUMENT;
    nvmlReturn_t code = refusal(&devices[index], "handle");
    if (code == SUCCESS) *device = &devices[index];
    return code;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length) {
    nvmlReturn_t code = refusal(device, "name");
    if (code != SUCCESS) return code;
    if (strlen(device->name) + 1 > length) return INSUFFICIENT_SIZE;
    strcpy(name, device->name);
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates) {
    nvmlReturn_t code = refusal(device, "utilization");
    // The memory's traffic is a figure that nobody is to take for its filling.
    if (code == SUCCESS) *rates = (nvmlUtilization_t){.gpu = device->usage, .memory = 99};
    return code;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    nvmlReturn_t code = refusal(device, "memory");
    if (code == SUCCESS) *memory = (nvmlMemory_t){.total = device->total, .free = device->total - device->used, .used = device->used};
    return code;
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, int sensor, unsigned int *degrees) {
    if (sensor != 0) return INVALID_ARGUMENT;
    nvmlReturn_t code = refusal(device, "temperature");
    if (code == SUCCESS) *degrees = device->temperature;
    return code;
}
