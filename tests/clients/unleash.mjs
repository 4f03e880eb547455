// unleash.mjs URL TOKEN: Unleash's SDKs for servers and for browsers, as published, against a weir that has the flags of clients.py. The parent changes
// `new-cart` (off to on, and back) when it reads "change": all three ways of fetching must hear of it.
import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Unleash, InMemStorageProvider } from 'unleash-client'
import { UnleashClient } from 'unleash-proxy-client'

const [url, token] = process.argv.slice(2)
const wait = (emitter, event, what) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error(`no ${event} within 60 s: ${what}`)), 60000)
  emitter.once(event, (...args) => { clearTimeout(timer); resolve(args) })
})
const until = (emitter, event, holds, what) => new Promise((resolve, reject) => {
  if (holds()) return resolve()
  const timer = setTimeout(() => reject(new Error(`not so within 60 s: ${what}`)), 60000)
  emitter.on(event, () => { if (holds()) { clearTimeout(timer); resolve() } })
})
const make = (mode, more = {}) => new Unleash({
  url: `${url}/api/`, appName: `node-${mode.type}-${mode.format ?? ''}`, customHeaders: { Authorization: token }, refreshInterval: 200, metricsInterval: 300,
  storageProvider: new InMemStorageProvider(), skipInstanceCountWarning: true, experimentalMode: mode, backupPath: mkdtempSync(join(tmpdir(), 'unleash-')), ...more,
})

const clients = [{ type: 'polling', format: 'full' }, { type: 'polling', format: 'delta' }, { type: 'streaming' }].map((mode) => make(mode))
for (const c of clients) {
  c.on('error', (e) => { console.log('error', e.message); process.exit(1) })
  c.on('warn', (e) => { console.log('warn', e); process.exit(1) })
}
const sent = clients.map((c) => wait(c, 'sent', 'metrics'))
await Promise.all(clients.map((c) => wait(c, 'synchronized', 'the first features')))
for (const c of clients) {
  assert.equal(c.isEnabled('new-cart'), false)
  assert.equal(c.isEnabled('killed', {}, true), false)
  assert.equal(c.isEnabled('nothing', {}, true), true)
  assert.deepEqual({ ...c.getVariant('limit') }, { name: 'high', enabled: true, feature_enabled: true, featureEnabled: true, payload: { type: 'number', value: '2.5' } })
  assert.deepEqual(JSON.parse(c.getVariant('layout').payload.value), { columns: [1, 2], dark: true })
  assert.equal(c.isEnabled('banner', {}, false), false) // a rule of flagd's: the server alone evaluates it
  assert.equal(c.isEnabled('beta', { userId: '7', properties: { plan: 'gold' } }), true)
  assert.equal(c.isEnabled('beta', { userId: '7', properties: { plan: 'tin' } }), false)
  assert.equal(c.isEnabled('inner', { userId: 'x@example.org' }), true)
  assert.equal(c.isEnabled('inner', { userId: 'x@example.com' }), false)
  assert.equal(c.isEnabled('child', { userId: '7', properties: { plan: 'gold' } }), true)
  assert.equal(c.isEnabled('child', { userId: '7' }), false)
}
await wait(clients[0], 'unchanged', 'an answer 304 of features')
await wait(clients[1], 'unchanged', 'an answer 304 of a delta')
console.log('change')
await Promise.all(clients.map((c) => until(c, 'changed', () => c.isEnabled('new-cart'), `a changed flag, ${c.getMode?.() ?? ''}`)))
await Promise.all(sent)

const page = new UnleashClient({ url: `${url}/api/frontend`, clientKey: token, appName: 'page', refreshInterval: 1, metricsInterval: 1, metricsIntervalInitial: 0,
  context: { userId: 'a@example.org', properties: { email: 'a@example.org', plan: 'gold' } } })
page.on('error', (e) => { console.log('error', e); process.exit(1) })
const started = wait(page, 'ready', 'the first toggles')
await page.start()
const counted = wait(page, 'sent', 'metrics of a page')
await started
assert.equal(page.isEnabled('new-cart'), true)
assert.deepEqual({ ...page.getVariant('banner') }, { name: 'blue', enabled: true, feature_enabled: true, featureEnabled: true, payload: { type: 'string', value: '#00f' } })
assert.equal(page.isEnabled('beta'), true)
assert.equal(page.isEnabled('inner'), true)
assert.equal(page.isEnabled('killed'), false)
await page.updateContext({ userId: 'u2', properties: { email: 'b@example.com' } })
assert.equal(page.getVariant('banner').payload.value, '#f00')
assert.equal(page.isEnabled('beta'), false)
await counted
const post = new UnleashClient({ url: `${url}/api/frontend`, clientKey: token, appName: 'page-post', usePOSTrequests: true, disableMetrics: true, disableRefresh: true,
  context: { userId: 'u1', properties: { email: 'a@example.org' } } })
await post.start()
assert.equal(post.getVariant('banner').payload.value, '#00f')
page.stop()
clients.forEach((c) => c.destroy())

const refused = make({ type: 'polling', format: 'full' }, { customHeaders: { Authorization: 'default:development.nonsense' }, disableMetrics: true })
const [error] = await wait(refused, 'error', 'a token that is none')
assert.match(error.message, /401/)
refused.destroy()
console.log('unleash (javascript): all as it should be')
process.exit(0)
