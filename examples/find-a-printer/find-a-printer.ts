import { parseArgs } from 'node:util'
import { find } from '@filesync/discovery/node'
import type { Service } from '@filesync/discovery/node'

// Lists the printers of the local network that speak IPP, as they come and go.
//
//   node find-a-printer.ts [--color] [--first] [--interface NAME] [--seconds N]

const { values } = parseArgs({
  options: {
    color: { type: 'boolean', default: false },
    first: { type: 'boolean', default: false },
    interface: { type: 'string' },
    seconds: { type: 'string' },
  },
})

/** The address of a printer as a program for printing wants it (RFC 8010, and Bonjour Printing Specification 9.2.3 for `rp`). */
function uriOf ({ addresses: [address = ''], port, txt }: Service): string {
  const host = address.includes(':') ? `[${address.replace('%', '%25')}]` : address
  return `ipp://${host}:${port}/${String(txt['rp'] ?? 'ipp/print')}`
}

function describe (service: Service): string {
  const { name, txt } = service
  const facts = [txt['ty'], txt['note'], txt['color'] === 'T' ? 'color' : 'black and white']
  return `${name} (${facts.filter(fact => typeof fact === 'string' && fact !== '').join(', ')}) at ${uriOf(service)}`
}

const stop = new AbortController()
process.once('SIGINT', () => { stop.abort() })
if (values.seconds !== undefined) setTimeout(() => { stop.abort() }, Number(values.seconds) * 1_000).unref()

let count = 0
for await (const { kind, service } of find({
  type: '_ipp._tcp',
  signal: stop.signal,
  interfaces: values.interface === undefined ? undefined : [values.interface],
  onProblem: ({ message }) => { console.error(message) },
})) {
  if (values.color && service.txt['color'] !== 'T') continue
  console.log(`${kind.padEnd(7)} ${kind === 'gone' ? service.name : describe(service)}`)
  count++
  if (values.first && kind === 'up') break
}
process.exitCode = count === 0 ? 1 : 0
