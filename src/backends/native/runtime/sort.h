/* Sorting of (key, index) entries, for one key width: KEY_BITS 32 or 64. Ascending by key, stable.
 *
 * Short rows by insertion; long rows by least-significant-digit radix sort, passes whose digit is constant skipped;
 * few smallest of many by a heap over (key, index), which is a strict order, so that the heap is stable too. */

#if KEY_BITS == 32
typedef uint32_t sort_key;
#else
typedef uint64_t sort_key;
#endif

struct entry {
  sort_key key;
  uint32_t index;
};

enum { DIGITS = KEY_BITS / 8, INSERTION_LENGTH = 32, HEAP_SHARE = 8, HEAP_LENGTH = 1 << 12 };

static inline int before(struct entry a, struct entry b) {
  return a.key < b.key || (a.key == b.key && a.index < b.index);
}

static void insertion_sort(struct entry *e, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    struct entry x = e[i];
    int64_t j = i;
    for (; j > 0 && x.key < e[j - 1].key; j--) e[j] = e[j - 1];
    e[j] = x;
  }
}

/* Sorts e with the help of `other`; returns where the result lies. */
static struct entry *radix_sort(struct entry *e, struct entry *other, int64_t n) {
  int64_t counts[DIGITS][256] = {{0}};
  for (int64_t i = 0; i < n; i++) {
    for (int d = 0; d < DIGITS; d++) counts[d][e[i].key >> (8 * d) & 255]++;
  }
  for (int d = 0; d < DIGITS; d++) {
    if (counts[d][e[0].key >> (8 * d) & 255] == n) continue;
    int64_t at = 0;
    for (int v = 0; v < 256; v++) {
      int64_t count = counts[d][v];
      counts[d][v] = at;
      at += count;
    }
    for (int64_t i = 0; i < n; i++) other[counts[d][e[i].key >> (8 * d) & 255]++] = e[i];
    struct entry *swap = e;
    e = other;
    other = swap;
  }
  return e;
}

static void sift_down(struct entry *heap, int64_t at, int64_t n) {
  struct entry x = heap[at];
  for (int64_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && before(heap[child], heap[child + 1])) child++;
    if (!before(x, heap[child])) break;
    heap[at] = heap[child];
  }
  heap[at] = x;
}

/* Moves the `limit` first entries in sorted order to the front of e. */
static void select_first(struct entry *e, int64_t n, int64_t limit) {
  for (int64_t at = limit / 2 - 1; at >= 0; at--) sift_down(e, at, limit);
  for (int64_t i = limit; i < n; i++) {
    if (!before(e[i], e[0])) continue;
    e[0] = e[i];
    sift_down(e, 0, limit);
  }
  for (int64_t left = limit - 1; left > 0; left--) {
    struct entry top = e[0];
    e[0] = e[left];
    e[left] = top;
    sift_down(e, 0, left);
  }
}

/* The first `limit` of n entries in sorted order; `other` has room for n. */
static __attribute__((noinline)) const struct entry *sort_entries(struct entry *e, struct entry *other, int64_t n,
                                                                  int64_t limit) {
  if (limit > 0 && limit <= n / HEAP_SHARE && limit <= HEAP_LENGTH) select_first(e, n, limit);
  else if (n <= INSERTION_LENGTH) insertion_sort(e, n);
  else return radix_sort(e, other, n);
  return e;
}
