// sdk.mjs URL TOKEN: the OpenFeature SDKs for servers and for browsers with their OFREP providers, as published, against a weir that has the flags of
// clients.py. The web provider follows the event stream: the parent changes a flag when it reads "ready" and the provider must hear of it.
import assert from 'node:assert/strict'
import { OpenFeature as Server } from '@openfeature/server-sdk'
import { OFREPProvider } from '@openfeature/ofrep-provider'
import { OpenFeature as Web, ProviderEvents } from '@openfeature/web-sdk'
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider'
import { EventSource } from 'eventsource'

globalThis.EventSource = EventSource
const [url, token] = process.argv.slice(2)
const headers = [['Authorization', `Bearer ${token}`]]

await Server.setProviderAndWait(new OFREPProvider({ baseUrl: url, headers }))
const client = Server.getClient()
const staff = { targetingKey: 'u1', email: 'a@example.org' }
assert.equal(await client.getBooleanValue('new-cart', true), false)
let details = await client.getStringDetails('banner', 'none', staff)
assert.deepEqual([details.value, details.variant, details.reason], ['#00f', 'blue', 'TARGETING_MATCH'])
assert.equal((await client.getStringDetails('banner', 'none', { targetingKey: 'u2' })).value, '#f00')
assert.equal(await client.getNumberValue('limit', 0), 2.5)
assert.deepEqual(await client.getObjectValue('layout', {}), { columns: [1, 2], dark: true })
// this provider is older than answers without a value (the caller's own default counts): it calls them an error, and gives the default all the same
assert.equal((await client.getBooleanDetails('killed', true)).value, true)
details = await client.getStringDetails('nothing', 'fallback')
assert.deepEqual([details.value, details.errorCode], ['fallback', 'FLAG_NOT_FOUND'])
details = await client.getNumberDetails('banner', 7, staff)
assert.deepEqual([details.value, details.errorCode], [7, 'TYPE_MISMATCH'])
details = await client.getBooleanDetails('broken', true)
assert.deepEqual([details.value, details.errorCode], [true, 'GENERAL'])

await Server.setProviderAndWait(new OFREPProvider({ baseUrl: url, headers: [['Authorization', 'Bearer nonsense']] }))
details = await Server.getClient().getBooleanDetails('new-cart', true)
assert.equal(details.value, true)
assert.ok(details.errorCode)
await Server.close()

await Web.setContext(staff)
await Web.setProviderAndWait(new OFREPWebProvider({ baseUrl: url, headers, pollInterval: 0 }))
const web = Web.getClient()
assert.equal(web.getStringValue('banner', 'none'), '#00f')
assert.equal(web.getBooleanValue('new-cart', true), false)
const killed = web.getBooleanDetails('killed', true)
assert.deepEqual([killed.value, killed.reason], [true, 'DISABLED'])
const changed = new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error('no news of the changed flag within 20 s')), 20000)
  web.addHandler(ProviderEvents.ConfigurationChanged, (e) => {
    if (web.getBooleanValue('new-cart', false)) resolve(e)
  })
})
console.log('ready')
await changed
await Web.setContext({ targetingKey: 'u3' })
assert.equal(web.getStringValue('banner', 'none'), '#f00')
console.log('openfeature (javascript): all as it should be')
process.exit(0)
