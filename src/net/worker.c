/* worker.c - the threads that run handlers which may block.
 *
 * A request comes through a bounded queue while its connection is suspended; the worker runs the handler and resumes the connection, whose loop
 * thread then sends the answer. Once the server cuts (stopping == 2) what still waits is answered 503 without being run. */
#include "base/base.h"
#include "net/http-internal.h"

static void work_on(struct http_req *r)
{
	if (atomic_load(&r->s->stopping) == 2)
		answer_errorf(r, 503, WEIR_EUNAVAIL, "weir is stopping");
	else if (!r->must_ask || auth_ask(r))
		run_handler(r);
	r->state = REQ_READY;
	MHD_resume_connection(r->mhd); /* from here on r is the loop thread's */
}

static void *worker_main(void *arg)
{
	struct http_server *s = arg;

	for (struct http_req *r; (r = bqueue_pop(s->queue, -1));) {
		if (r->match.entry->route->kind == HTTP_STREAM)
			stream_run(r);
		else
			work_on(r);
	}
	return NULL;
}

int workers_start(struct http_server *s, struct err *reterr)
{
	int r = bqueue_new(s->cfg.worker_queue_max ? s->cfg.worker_queue_max : LIMIT_HTTP_QUEUE, &s->queue, reterr);

	if (r)
		return r;
	s->workers = calloc(s->cfg.worker_threads, sizeof(*s->workers));
	if (!s->workers)
		return err_set(reterr, WEIR_ENOMEM, "no memory for worker threads");
	for (; s->n_workers < s->cfg.worker_threads; s->n_workers++) {
		int e = pthread_create(&s->workers[s->n_workers], NULL, worker_main, s);

		if (e)
			return err_errno(reterr, e, "cannot start worker thread %u", s->n_workers + 1);
	}
	return 0;
}

void workers_stop(struct http_server *s)
{
	if (s->queue)
		bqueue_close(s->queue);
	for (unsigned i = 0; i < s->n_workers; i++)
		pthread_join(s->workers[i], NULL);
	s->n_workers = 0;
	free(s->workers);
	s->workers = NULL;
	s->queue = bqueue_free(s->queue);
}
