// backoff.mjs URL TOKEN: the OpenFeature provider for servers against a weir that allows one evaluation per second. Refused by 429, it must send nothing
// before the time that Retry-After named, give the caller's own default meanwhile, and be answered afterwards.
import assert from 'node:assert/strict'
import { OpenFeature } from '@openfeature/server-sdk'
import { OFREPProvider } from '@openfeature/ofrep-provider'

const [url, token] = process.argv.slice(2)
let sent = 0, refused = 0, until = 0
const count = async (...request) => {
  assert.ok(Date.now() >= until, 'a request before the time that Retry-After named')
  const began = Date.now()
  sent++
  const answer = await fetch(...request)
  if (answer.status === 429) {
    const seconds = Number(answer.headers.get('retry-after'))
    assert.ok(Number.isInteger(seconds) && seconds >= 1, `Retry-After: ${answer.headers.get('retry-after')}`)
    refused++
    until = began + seconds * 1000
  }
  return answer
}

await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: url, headers: [['Authorization', `Bearer ${token}`]], fetchImplementation: count }))
const client = OpenFeature.getClient()
assert.equal(await client.getStringValue('banner', 'none'), '#f00')
const end = Date.now() + 60000
while (!refused) {
  assert.ok(Date.now() < end, 'nothing was refused')
  const details = await client.getStringDetails('banner', 'none')
  assert.ok(details.value === '#f00' || (details.value === 'none' && details.errorCode), JSON.stringify(details))
}
const before = sent
for (let i = 0; i < 50 && Date.now() < until; i++) {
  assert.equal(await client.getStringValue('banner', 'none'), 'none')
}
assert.ok(sent === before || Date.now() >= until)
while ((await client.getStringValue('banner', 'none')) !== '#f00') {
  assert.ok(Date.now() < end, 'never answered again')
  await new Promise((resolve) => setTimeout(resolve, 50))
}
console.log(`openfeature (javascript): backs off, ${sent} requests, ${refused} refused`)
process.exit(0)
