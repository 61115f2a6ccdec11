/**
 * Keeps a test run off the network. NODE_OPTIONS (vitest.base.ts) loads it into every test process, and into every process
 * and worker thread that a test starts. From then on node:dgram and node:net, and what is built on them (TLS,
 * HTTP, fetch), throw EOFFLOOPBACK instead of binding to, joining on, sending or connecting to anything but loopback:
 *
 * - TCP: listen and connect take 127.0.0.0/8, ::1 and "localhost" only. Pipes and handed-over descriptors are left alone.
 * - UDP: bind takes the same, or a multicast group (a listener is bound to the group, and joins it on an interface).
 *   Joining and sending to a group need the interface named, and it has to be loopback: without, the system would take
 *   the default route.
 *
 * The one exemption is a process in a network namespace that a test made. Such a namespace has no way out but what the test
 * put into it. A process is taken to be in one when all of this holds, at the moment of the call:
 *
 * - FILESYNC_TEST_HOME_NETNS names a namespace. The first guarded process notes its own there, and children inherit it, so it
 *   names the one that the test run itself lives in, which is never exempt.
 * - /proc/self/ns/net says that this process lives in another one. That is the kernel's word; no variable changes it.
 * - Every interface but loopback is in FILESYNC_TEST_INTERFACES (names with commas), where the test lists those it made.
 *
 * Where namespaces do not exist, nothing is exempt.
 */
import dgram from 'node:dgram'
import { readlinkSync } from 'node:fs'
import net, { isIP, isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'

const HOME = 'FILESYNC_TEST_HOME_NETNS'
const MADE = 'FILESYNC_TEST_INTERFACES'
/** So that a process which loads this twice is patched once. */
const LOADED = Symbol.for('filesync.loopback-only')

function ownNamespace () {
  try {
    return readlinkSync('/proc/self/ns/net')
  } catch {
    return undefined
  }
}

const home = process.env[HOME] ?? ownNamespace()
if (home !== undefined) process.env[HOME] = home

function isExempt () {
  const own = ownNamespace()
  if (home === undefined || own === undefined || own === home) return false
  const made = new Set((process.env[MADE] ?? '').split(',').filter(name => name !== ''))
  return Object.keys(networkInterfaces()).every(name => name === 'lo' || made.has(name))
}

function isLoopback (host) {
  const address = host.split('%')[0].replace(/^::ffff:/iu, '')
  return host === 'localhost' || address === '::1' || (isIPv4(address) && address.startsWith('127.'))
}

/** Names for "this interface, of loopback", as setMulticastInterface and addMembership take them. */
function isLoopbackInterface (name) {
  return isLoopback(name) || /^::1?%lo\d*$/u.test(name)
}

function isGroup (address) {
  return isIPv4(address) ? Number(address.split('.')[0]) >= 224 : isIP(address) === 6 && /^ff/iu.test(address)
}

function refuse (what) {
  if (isExempt()) return
  const error = new Error(`${what} would leave the loopback interface, and a test may not. Use 127.0.0.1, or a network ` +
    'namespace that the test makes (scripts/loopback-only.js says how it is recognized).')
  error.code = 'EOFFLOOPBACK'
  throw error
}

function describe (host) {
  return host === undefined || host === '' ? 'every interface' : String(host)
}

/** As net.connect and net.Server.listen take them: an object, or a port and a host. */
function connectOptions ([first, second]) {
  if (typeof first === 'object' && first !== null) return first
  return { port: first, host: typeof second === 'string' ? second : undefined }
}

function guardTcp () {
  const { listen } = net.Server.prototype
  net.Server.prototype.listen = function (...args) {
    const options = connectOptions(args)
    const isPort = typeof options.port === 'number' || /^\d+$/u.test(options.port ?? '')
    // Without port, path and descriptor, Node picks a port on every interface.
    const hasHandle = options.fd !== undefined || '_handle' in options || 'handle' in options
    const local = !isPort && (typeof args[0] === 'string' || options.path !== undefined || hasHandle)
    if (!local && !isLoopback(options.host ?? '')) refuse(`Listening on ${describe(options.host)}`)
    return listen.apply(this, args)
  }

  const { connect } = net.Socket.prototype
  net.Socket.prototype.connect = function (...args) {
    // Node hands its own normalized arguments over as an array.
    const plain = Array.isArray(args[0]) ? args[0] : args
    const options = connectOptions(plain)
    const isPath = options.path !== undefined && options.path !== null && options.port === undefined
    const isPipe = typeof plain[0] === 'string' && !/^\d+$/u.test(plain[0])
    const host = options.host ?? 'localhost'
    if (!isPath && !isPipe && !isLoopback(host)) refuse(`Connecting to ${host}`)
    return connect.apply(this, args)
  }
}

function guardUdp () {
  const prototype = dgram.Socket.prototype
  const { bind, connect, send, setMulticastInterface, addMembership, addSourceSpecificMembership } = prototype
  const outgoing = new WeakMap()

  prototype.bind = function (...args) {
    const isObject = typeof args[0] === 'object' && args[0] !== null
    const options = isObject ? args[0] : { address: typeof args[1] === 'string' ? args[1] : undefined }
    const address = options.address ?? ''
    const isHandle = options.fd !== undefined || '_handle' in options || 'handle' in options
    if (!isHandle && !isLoopback(address) && !isGroup(address.split('%')[0])) refuse(`Binding UDP to ${describe(options.address)}`)
    return bind.apply(this, args)
  }

  prototype.setMulticastInterface = function (name) {
    if (!isLoopbackInterface(name)) refuse(`Sending multicast over ${name}`)
    outgoing.set(this, name)
    return setMulticastInterface.call(this, name)
  }

  prototype.addMembership = function (group, name) {
    if (!isLoopbackInterface(name ?? '')) refuse(`Joining ${group} on ${describe(name)}`)
    return addMembership.call(this, group, name)
  }

  prototype.addSourceSpecificMembership = function (source, group, name) {
    if (!isLoopbackInterface(name ?? '')) refuse(`Joining ${group} on ${describe(name)}`)
    return addSourceSpecificMembership.call(this, source, group, name)
  }

  const checkTarget = (socket, address) => {
    const target = typeof address === 'string' && address !== '' ? address : 'localhost'
    if (isLoopback(target)) return
    const zone = target.split('%')[1]
    const known = isGroup(target.split('%')[0]) && outgoing.has(socket) && (zone === undefined || /^lo\d*$/u.test(zone))
    if (!known) refuse(`Sending UDP to ${target}`)
  }

  prototype.connect = function (port, address, callback) {
    checkTarget(this, address)
    return connect.call(this, port, address, callback)
  }

  prototype.send = function (...args) {
    // send(bytes, [offset, length,] [port,] [address,] [callback]), told apart as node:dgram does.
    const isLong = Boolean(args[4]) || (Boolean(args[3]) && typeof args[3] !== 'function')
    checkTarget(this, isLong ? args[4] : args[2])
    return send.apply(this, args)
  }
}

if (!(LOADED in globalThis)) {
  Object.defineProperty(globalThis, LOADED, { value: true })
  guardTcp()
  guardUdp()
}
