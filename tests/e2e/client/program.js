// A wallet program in which the tests are the user: commands come as lines of JSON, answers and what streams
// deliver leave as lines of JSON. Every HTTP answer and WebSocket frame is reported as it came over the wire.

import { AsyncLocalStorage } from 'node:async_hooks'
import { createInterface } from 'node:readline'

import { TLNetwork } from '@trustlines/trustlines-clientlib'
import { UserInformation } from '@trustlines/trustlines-clientlib/lib-esm/UserInformation'
import NodeWebSocket from 'ws'

const wallets = new Map()
const kept = new Map()
const subscriptions = new Map()
const exchanges = new AsyncLocalStorage()

function say(line) {
  process.stdout.write(JSON.stringify(line) + '\n')
}

// The client's own words must not come between the lines.
for (const level of ['log', 'info', 'debug', 'warn']) console[level] = console.error

const fetchFromRelay = globalThis.fetch
globalThis.fetch = async (url, options = {}) => {
  const response = await fetchFromRelay(url, options)
  const record = { method: options.method ?? 'GET', url: String(url), status: response.status }
  record.answer = await response.clone().json().catch(() => undefined)
  exchanges.getStore()?.push(record)
  return response
}

globalThis.WebSocket = class extends NodeWebSocket {
  constructor(url, ...others) {
    super(url, ...others)
    this.on('message', data => say({ frame: String(data), url }))
  }
}

// What JSON cannot say is said so, instead of being dropped or turned into something else.
function encode(value) {
  if (value === undefined) return { $undefined: true }
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Error) return { $error: value.message }
  if (value._isBigNumber || value._hex) return { $big: value.toString(10) }
  if (Array.isArray(value)) return value.map(encode)
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, encode(entry)]))
}

function decode(value) {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(decode)
  if (value.$kept !== undefined) return value.$of.reduce((found, name) => found[name], kept.get(value.$kept))
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, decode(entry)]))
}

const commands = {
  open({ wallet, config }) {
    const client = new TLNetwork(config)
    // The client has this part, but its entry point does not offer it.
    client.information = new UserInformation({
      user: client.user,
      currencyNetwork: client.currencyNetwork,
      provider: client.relayProvider
    })
    wallets.set(wallet, client)
  },

  async call({ wallet, path, args, keep }) {
    const names = path.split('.')
    const method = names.pop()
    const owner = names.reduce((found, name) => found[name], wallets.get(wallet))
    const result = await owner[method](...decode(args))
    if (keep !== undefined) kept.set(keep, result)
    return result
  },

  subscribe({ wallet, path, stream }) {
    const [part, method] = path.split('.')
    const observer = {
      next: value => say({ stream, value: encode(value) }),
      error: error => say({ stream, value: { type: 'Error', message: error.message } })
    }
    subscriptions.set(stream, wallets.get(wallet)[part][method]().subscribe(observer))
  },

  unsubscribe({ stream }) {
    subscriptions.get(stream)?.unsubscribe()
    subscriptions.delete(stream)
  }
}

async function obey(command) {
  const wire = []
  try {
    const result = await exchanges.run(wire, () => commands[command.do](command))
    say({ id: command.id, result: encode(result), wire })
  } catch (error) {
    say({ id: command.id, error: String(error?.message ?? error), wire })
  }
}

const input = createInterface({ input: process.stdin })
input.on('line', line => obey(JSON.parse(line)))
input.on('close', () => process.exit(0))
