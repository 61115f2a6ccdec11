import { isLoopback, isOnLink, parseAddress } from './address.ts'
import { describeLink, isLoopbackLink } from './link.ts'
import type { Link, LinkChoice } from './link.ts'

/** The result of one check by `diagnose`. */
export interface DiscoveryFinding {
  readonly check: 'interface' | 'container' | 'group' | 'discover' | 'offer' | 'dns-sd' | 'subnet' | 'reach'
  readonly level: 'ok' | 'warning' | 'fault'
  /** What was observed, in a sentence. */
  readonly what: string
  /** What to do about it, in one line; present unless the level is `ok`. */
  readonly fix?: string
  /** The server that it is about, if any, with the id prefix that it claims. */
  readonly server?: ExpectedServer & { readonly idPrefix?: string }
}

/** What options of a program are called, so that a fix can name them. */
export interface DiagnoseFlags {
  /** Takes the server as HOST:PORT: `--server`. */
  readonly server?: string | undefined
  /** Takes the name of an interface: `--interface`. */
  readonly interface?: string | undefined
  /** Takes the address to listen on: `--bind`. */
  readonly bind?: string | undefined
}

/** Works around any trouble with multicast. */
export function nameTheServer (flags: DiagnoseFlags | undefined, place?: string): string {
  const flag = flags?.server
  if (flag !== undefined) return `name the server: ${flag} ${place ?? 'HOST:PORT'}`
  return `connect to the server by its address${place === undefined ? '' : `, ${place}`}`
}

/** Bridges of Docker, Podman, libvirt, LXC and Kubernetes, which lead to containers of this machine only. */
const BRIDGE = /^(docker|br-[0-9a-f]{12}$|podman|cni|virbr|lxcbr|lxdbr|veth|flannel|cali)/u
/** The default subnets of Docker and Podman. */
const CONTAINER_SUBNETS = ['172.16.0.0/12', '10.88.0.0/16']

export interface Surroundings {
  /** Every address of this machine. */
  readonly all: readonly Link[]
  /** Those that discovery uses. */
  readonly used: readonly Link[]
  readonly choice: LinkChoice
  /** Whether this process runs in a container. */
  readonly inContainer: boolean
  /** The operating system, as Node names it: each has its own commands. */
  readonly platform: string
  readonly flags?: DiagnoseFlags | undefined
}

/** The command that enables an interface. */
function enableInterface (name: string, platform: string): string {
  if (platform === 'win32') return `Enable-NetAdapter -Name "${name}" in an administrator's PowerShell`
  return platform === 'darwin' ? `sudo ifconfig ${name} up` : `ip link set ${name} up multicast on`
}

/** How to let DISCOVER through the firewall of this system. */
export function allowDiscover (platform: string): string {
  if (platform === 'win32') {
    return 'allow incoming UDP port 9999, e.g. in an administrator\'s PowerShell: ' +
      'New-NetFirewallRule -DisplayName FileSync -Direction Inbound -Protocol UDP -LocalPort 9999 -Action Allow'
  }
  if (platform === 'darwin') return 'allow incoming connections for node in System Settings, Network, Firewall, Options'
  return 'allow incoming UDP to 224.1.1.1 port 9999, e.g. "ufw allow proto udp to 224.1.1.1 port 9999"'
}

/** Checks the interfaces without sending anything. */
export function inspectLinks (surroundings: Surroundings): DiscoveryFinding[] {
  const { used, choice, flags } = surroundings
  const outer = used.filter(link => !isLoopbackLink(link))
  const findings = used.map(describeUse)
  for (const name of choice.interfaces ?? []) {
    if (used.some(link => link.interfaceName === name)) continue
    findings.push({
      check: 'interface',
      level: 'fault',
      what: `The interface ${name} does not exist, is down, has no address, or does not support multicast.`,
      fix: `${enableInterface(name, surroundings.platform)}, ` +
        `or use another ${flags?.interface ?? 'interface'} (${namesOf(surroundings.all)})`,
    })
  }
  const { bind } = choice
  if (bind !== undefined && used.length === 0) {
    findings.push({
      check: 'interface',
      level: 'fault',
      what: `No interface with the address ${bind} is up and can be used for discovery.`,
      fix: `use ${flags?.bind ?? 'bind'} with an address of this machine, or leave it out`,
    })
  } else if (outer.length === 0 && choice.interfaces === undefined && (bind === undefined || !isLoopback(bind))) {
    findings.push({
      check: 'interface',
      level: 'fault',
      what: 'No interface to a network is up, so other machines cannot be found.',
      fix: 'connect this machine to the network',
    })
  }
  return [...findings, ...inspectContainers(surroundings, outer), ...inspectTwins(outer, flags)]
}

function describeUse (link: Link): DiscoveryFinding {
  const whom = isLoopbackLink(link)
    ? 'programs of this machine'
    : BRIDGE.test(link.interfaceName) ? 'containers of this machine' : 'machines of its subnet'
  return { check: 'interface', level: 'ok', what: `${describeLink(link)} is used to find ${whom}.` }
}

function inspectContainers ({ inContainer, flags }: Surroundings, outer: readonly Link[]): DiscoveryFinding[] {
  const ipv4 = outer.filter(link => link.family === 'IPv4')
  if (ipv4.length === 0) return []
  if (ipv4.every(link => BRIDGE.test(link.interfaceName))) {
    return [{
      check: 'container',
      level: 'warning',
      what: `All interfaces (${namesOf(ipv4)}) are container bridges, so only containers of this machine can be found.`,
      fix: 'connect this machine to the network',
    }]
  }
  if (!inContainer || !ipv4.every(link => CONTAINER_SUBNETS.some(subnet => isInSubnet(link.address, subnet)))) return []
  return [{
    check: 'container',
    level: 'fault',
    what: 'This program runs in a container with a bridged network, which does not forward multicast.',
    fix: `run the container with --network host, or ${nameTheServer(flags)}`,
  }]
}

function inspectTwins (outer: readonly Link[], flags: DiagnoseFlags | undefined): DiscoveryFinding[] {
  const twin = outer.flatMap((link, index) => outer.slice(index + 1)
    .filter(other => link.family === 'IPv4' && other.interfaceName !== link.interfaceName && isOnLink(other.address, link))
    .map(other => [link, other] as const))[0]
  if (twin === undefined) return []
  const [left, right] = twin
  return [{
    check: 'interface',
    level: 'warning',
    what: `${describeLink(left)} and ${describeLink(right)} are in one subnet, so answers may arrive on the wrong one.`,
    fix: `disconnect one of them, or use ${flags?.interface ?? 'the interface'} ${left.interfaceName}`,
  }]
}

function isInSubnet (address: string, subnet: string): boolean {
  const [network = '', prefix] = subnet.split('/')
  return isOnLink(address, { address: network, prefixLength: Number(prefix), zone: '' })
}

function namesOf (links: readonly Link[]): string {
  return [...new Set(links.map(link => link.interfaceName))].join(', ')
}

/** Where a server is expected, from the configuration or from an earlier run. */
export interface ExpectedServer {
  /** An address, not a name. */
  readonly address: string
  readonly port: number
}

/** A finding if multicast from an expected server cannot reach this machine; otherwise undefined. */
export function inspectSubnet (
  expected: ExpectedServer, used: readonly Link[], flags?: DiagnoseFlags
): DiscoveryFinding | undefined {
  const { address, port } = expected
  if (parseAddress(address) === undefined || used.some(link => isOnLink(address, link))) return undefined
  const ours = used.filter(link => !isLoopbackLink(link)).map(link => `${link.address}/${link.prefixLength}`).join(', ')
  return {
    check: 'subnet',
    level: 'fault',
    what: `The server's address ${address} is in no subnet of this machine (${ours === '' ? 'which has none' : ours}), ` +
      'and routers do not forward multicast.',
    fix: `${nameTheServer(flags, `${address.includes(':') ? `[${address}]` : address}:${port}`)}, or connect both to one subnet`,
    server: { address, port },
  }
}
