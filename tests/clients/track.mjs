// track.mjs URL TOKEN: OpenFeature's tracking API as evidence for a guarded rollout: the OFREP provider with a track() of its own, as docs/reference/flags.md has it.
import assert from 'node:assert/strict'
import { OpenFeature } from '@openfeature/server-sdk'
import { OFREPProvider } from '@openfeature/ofrep-provider'

const [url, token] = process.argv.slice(2)

class WeirProvider extends OFREPProvider {
  track(name, context, { value, ok } = {}) {
    const event = { targetingKey: context.targetingKey, name, value, ok, at: new Date().toISOString() }
    this.sent = fetch(`${url}/api/v1/flags/track`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ events: [event] }),
    })
  }
}

const provider = new WeirProvider({ baseUrl: url, headers: [['Authorization', `Bearer ${token}`]] })
await OpenFeature.setProviderAndWait(provider)
const client = OpenFeature.getClient()
for (const [i, details] of [{ ok: true }, { ok: false }, { value: 120 }, {}].entries()) {
  const user = { targetingKey: `js-${i}` }
  await client.getBooleanValue('new-cart', false, user)
  client.track('checkout', user, details)
  const answer = await provider.sent
  assert.deepEqual([answer.status, await answer.json()], [202, { taken: 1, passed_over: 0 }])
}
await OpenFeature.close()
console.log('tracking (javascript): all as it should be')
