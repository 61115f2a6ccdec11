import { networkInterfaces } from 'node:os'
import { crowd } from './crowd.ts'
import { Stage } from './programs.ts'

const USAGE = `usage: node e2e/src/crowd-main.ts CLIENTS

Lets CLIENTS enroll and then push at once to one server, and prints one line of JSON: how many were served, how long it took, and what
the server used. In a network namespace whose loopback interface has at least as many addresses of 10.0.0.0/8, each client uses
one of them; otherwise all use 127.0.0.1.
`

const clients = Number(process.argv[2])
if (!Number.isInteger(clients) || clients < 1) {
  process.stderr.write(USAGE)
  process.exit(2)
}
const own = (networkInterfaces()['lo'] ?? []).map(({ address }) => address).filter(address => address.startsWith('10.'))
const addresses = own.length >= clients ? own.slice(0, clients) : undefined
const stage = await Stage.open()
try {
  const { served, failed, arrived, turns, ...figures } = await crowd(stage, { clients, ...(addresses !== undefined && { addresses }) })
  const isInOrder = arrived.join(' ') === turns.join(' ')
  const { user, system } = process.cpuUsage()
  const used = { clientCpuMs: (user + system) / 1000, clientPeakBytes: process.resourceUsage().maxRSS * 1024 }
  const summary = { clients, addresses: addresses?.length ?? 1, served: served.length, isInOrder, ...figures, ...used, failed }
  process.stdout.write(`${JSON.stringify(summary)}\n`)
  process.exitCode = failed.length === 0 ? 0 : 1
} finally {
  await stage.dispose()
}
