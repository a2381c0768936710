#include "Chunks.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

enum { AXES = 3 };

typedef struct {
  hsize_t chunk[AXES];
  size_t element;
  int rank;
} layout;

// What the dataset says of itself; axes it does not have come first and have one place.
static int describe(hid_t dataset, layout *out) {
  const hid_t creation = H5Dget_create_plist(dataset), type = H5Dget_type(dataset);
  hsize_t chunk[AXES] = {1, 1, 1};
  const int rank = creation < 0 ? -1 : H5Pget_chunk(creation, AXES, chunk);
  const size_t element = type < 0 ? 0 : H5Tget_size(type);
  if (creation >= 0) H5Pclose(creation);
  if (type >= 0) H5Tclose(type);
  if (rank < 1 || rank > AXES || element == 0) return -1;
  *out = (layout){{1, 1, 1}, element, rank};
  for (int i = 0; i < rank; i++) out->chunk[AXES - rank + i] = chunk[i];
  return 0;
}

static hsize_t least(hsize_t a, hsize_t b) { return a < b ? a : b; }

// The chunk that begins at `first` in the box; zeros beyond its end.
static void gather(const layout *l, const hsize_t *size, const hsize_t *first, const char *values, char *chunk) {
  const size_t row = l->chunk[2] * l->element;
  const size_t filled = least(l->chunk[2], size[2] - first[2]) * l->element;
  for (hsize_t z = 0; z < l->chunk[0]; z++)
    for (hsize_t y = 0; y < l->chunk[1]; y++, chunk += row) {
      const int inside = first[0] + z < size[0] && first[1] + y < size[1];
      const hsize_t from = ((first[0] + z) * size[1] + first[1] + y) * size[2] + first[2];
      if (inside) memcpy(chunk, values + from * l->element, filled);
      memset(chunk + (inside ? filled : 0), 0, row - (inside ? filled : 0));
    }
}

// HDF5's shuffle: the first byte of every element, then the second of every element, and so on.
static void shuffle(const char *from, char *to, size_t count, size_t element) {
  for (size_t byte = 0; byte < element; byte++)
    for (size_t i = 0; i < count; i++) to[byte * count + i] = from[i * element + byte];
}

int cvolumes_h5_write_box(hid_t dataset, const hsize_t *offset, const hsize_t *box, const void *values) {
  layout l;
  if (describe(dataset, &l)) return -1;
  hsize_t size[AXES] = {1, 1, 1}, begin[AXES] = {0, 0, 0};
  for (int i = 0; i < l.rank; i++) {
    size[AXES - l.rank + i] = box[i];
    begin[AXES - l.rank + i] = offset[i];
  }
  const size_t count = l.chunk[0] * l.chunk[1] * l.chunk[2], bytes = count * l.element;
  struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(1);
  const size_t bound = compressor ? libdeflate_zlib_compress_bound(compressor, bytes) : 0;
  char *plain = malloc(bytes), *shuffled = malloc(bytes), *packed = bound ? malloc(bound) : NULL;
  int status = plain && shuffled && packed ? 0 : -2;
  hsize_t first[AXES];
  for (first[0] = 0; first[0] < size[0]; first[0] += l.chunk[0])
    for (first[1] = 0; first[1] < size[1]; first[1] += l.chunk[1])
      for (first[2] = 0; first[2] < size[2] && status == 0; first[2] += l.chunk[2]) {
        gather(&l, size, first, values, plain);
        if (l.element > 1) shuffle(plain, shuffled, count, l.element);
        const size_t length =
            libdeflate_zlib_compress(compressor, l.element > 1 ? shuffled : plain, bytes, packed, bound);
        hsize_t place[AXES];
        for (int i = 0; i < l.rank; i++) place[i] = begin[AXES - l.rank + i] + first[AXES - l.rank + i];
        if (H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, place, length, packed) < 0) status = -1;
      }
  free(plain);
  free(shuffled);
  free(packed);
  if (compressor) libdeflate_free_compressor(compressor);
  return status;
}
