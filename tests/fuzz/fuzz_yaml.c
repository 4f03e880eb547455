/* fuzz_yaml.c - no text crashes the YAML reader; every node of an accepted text stands within the text, in order. */
#include "base/base.h"
#include "doc/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_node(const struct doc_node *n, uint32_t lines)
{
	uint32_t line, col;

	if (n->line < 1 || n->col < 1 || n->end_line < n->line || n->end_line > lines)
		BUG("node at %u:%u-%u of %u lines", n->line, n->col, n->end_line, lines);
	doc_place_in(n, n->text.len, &line, &col);
	for (size_t i = 0; n->kind == DOC_SEQ && i < n->seq.n; i++)
		check_node(n->seq.items[i], lines);
	for (size_t i = 0; n->kind == DOC_MAP && i < n->map.n; i++)
		check_node(n->map.pairs[i].value, lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena      a = ARENA_INIT(64 << 20);
	struct buf        out = BUF_INIT(1 << 20);
	struct doc_node **docs = NULL;
	size_t            n = 0;
	uint32_t          lines = 1;
	struct err        err = { 0 };

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	if (!doc_parse_yaml_all(&a, "f", str_n((const char *)data, size), &docs, &n, &err))
		for (size_t i = 0; i < n; i++) {
			check_node(docs[i], lines);
			doc_canonical(docs[i], &out);
		}
	buf_fini(&out);
	arena_fini(&a);
	return 0;
}
