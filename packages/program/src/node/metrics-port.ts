import type { AddressInfo } from 'node:net'
import { asFileSyncError, FileSyncError } from '@filesync/protocol'
import type { ListenAddress } from '../listen-address.ts'
import { withOption } from './option-hint.ts'
import type { OptionHint } from './option-hint.ts'

const http = process.getBuiltinModule('node:http')

/** What is served; a prom-client registry is one. */
interface MetricsSource extends OptionHint {
  readonly contentType: string
  metrics (): Promise<string>
}

export interface MetricsPort {
  readonly port: number
  close (): Promise<void>
}

const MAX_CONNECTIONS = 16
const TIMEOUT_MS = 10_000

/** Serves metrics at `/metrics` of one address, to anyone who can reach it. Throws PORT_UNAVAILABLE. */
export async function serveMetrics (at: ListenAddress, source: MetricsSource): Promise<MetricsPort> {
  const timeouts = { requestTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS, keepAliveTimeout: TIMEOUT_MS }
  const server = http.createServer(timeouts, (incoming, outgoing) => {
    // Such requests have no body; if one comes, it is discarded.
    incoming.resume()
    const isKnown = incoming.url?.split('?')[0] === '/metrics' && (incoming.method === 'GET' || incoming.method === 'HEAD')
    if (!isKnown) {
      outgoing.writeHead(404, { 'content-type': 'text/plain' }).end('Metrics are at /metrics.\n')
      return
    }
    source.metrics().then(
      text => { outgoing.writeHead(200, { 'content-type': source.contentType }).end(text) },
      (error: unknown) => { outgoing.writeHead(500, { 'content-type': 'text/plain' }).end(`${asFileSyncError(error).message}\n`) },
    )
  })
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause => {
      reject(new FileSyncError('PORT_UNAVAILABLE', `Metrics cannot be served at ${at.host} port ${at.port}: ${cause.message}. ` +
        `Choose another address${withOption(source.option)}.`, { cause }))
    })
    server.listen(at.port, at.host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>(resolve => { server.close(() => { resolve() }) })
    },
  }
}
