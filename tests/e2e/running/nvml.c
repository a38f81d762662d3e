/* Stands for the driver's library where there is no driver: three devices, of which the last is used by somebody. */
#include <stdio.h>

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
static const unsigned long long GIB = 1ULL << 30;
static const unsigned long long total[] = { 24, 8, 24 }, unused[] = { 24, 8, 2 };
static char devices[3];

static int index_of(void *device) { return (char *) device - devices; }

int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 3; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = devices + index; return index < 3 ? 0 : 2; }
int nvmlDeviceGetUUID(void *device, char *text, unsigned length) {
    snprintf(text, length, "GPU-%d%d%d%d", index_of(device), 7, 7, 7);
    return 0;
}
int nvmlDeviceGetMemoryInfo_v2(void *device, memory_v2 *memory) {
    memory->total = total[index_of(device)] * GIB;
    memory->free = unused[index_of(device)] * GIB;
    memory->used = memory->total - memory->free;
    return 0;
}
