/**
 * Messages of gobgpd's gRPC interface, as far as they are used here: names and field numbers of its API, versions 3 and 4.
 *
 * The two versions have the same messages with the same numbers, and differ in three things that gobgp3.ts and gobgp4.ts fill
 * in: how one of several kinds of message stands in another (`Any`, or a `oneof`), whether enumerations begin at 0 or at 1, and
 * the name of the service. Fields that are left out here are skipped by the decoder.
 */

export interface Names {
  /** The package of the messages. */
  readonly package: string;
  /** The type of a place that takes one of several messages. */
  readonly unions: {
    readonly nlri: string;
    readonly attribute: string;
    readonly community: string;
    readonly rd: string;
  };
  /** What the version declares besides: the unions themselves. */
  readonly declarations: string;
}

/** The messages of one version, in the language of protobuf. */
export function messagesOf({ package: name, unions, declarations }: Names): string {
  return `syntax = "proto3";
package ${name};

message Nothing {}
message Global { uint32 asn = 1; string router_id = 2; int32 listen_port = 3; }
message StartBgpRequest { Global global = 1; }
message GetBgpResponse { Global global = 1; }
message Family { uint32 afi = 1; uint32 safi = 2; }
message Moment { int64 seconds = 1; int32 nanos = 2; }

message PeerConf { string auth_password = 1; string neighbor_address = 4; uint32 peer_asn = 5; }
message EbgpMultihop { bool enabled = 1; uint32 multihop_ttl = 2; }
message PeerState { string neighbor_address = 5; uint32 peer_asn = 6; uint32 session_state = 13; }
message TimersConfig { uint64 connect_retry = 1; uint64 hold_time = 2; uint64 keepalive_interval = 3; uint64 idle_hold_time_after_reset = 5; }
message TimersState { Moment uptime = 6; }
message Timers { TimersConfig config = 1; TimersState state = 2; }
message Transport { string local_address = 1; }
message AfiSafiConfig { Family family = 1; bool enabled = 2; }
message AfiSafi { AfiSafiConfig config = 2; }
message Peer {
  PeerConf conf = 2; EbgpMultihop ebgp_multihop = 3; PeerState state = 5; Timers timers = 6; Transport transport = 7;
  repeated AfiSafi afi_safis = 10;
}
message AddPeerRequest { Peer peer = 1; }
message DeletePeerRequest { string address = 1; }
message ListPeerRequest { string address = 1; }
message ListPeerResponse { Peer peer = 1; }

message WatchPeers {}
message Filter { uint32 type = 1; bool init = 2; }
message WatchTable { repeated Filter filters = 1; }
message WatchEventRequest { WatchPeers peer = 1; WatchTable table = 2; uint32 batch_size = 3; }
message PeerEvent { uint32 type = 1; Peer peer = 2; }
message TableEvent { repeated Path paths = 2; }
message WatchEventResponse { PeerEvent peer = 2; TableEvent table = 3; }

message Path {
  ${unions.nlri} nlri = 1; repeated ${unions.attribute} pattrs = 2; bool is_withdraw = 5; Family family = 9;
  string source_id = 11; string neighbor_ip = 15;
}
message Destination { repeated Path paths = 2; }
// As it is read: what stands in the unions is left as bytes.
message HeardPath { bytes nlri = 1; repeated bytes pattrs = 2; bool is_withdraw = 5; Family family = 9; string neighbor_ip = 15; }
message HeardDestination { repeated HeardPath paths = 2; }
message HeardList { HeardDestination destination = 1; }
message HeardTable { repeated HeardPath paths = 2; }
message HeardEvent { PeerEvent peer = 2; HeardTable table = 3; }

message AddPathRequest { uint32 table_type = 1; Path path = 3; }
message DeletePathRequest { uint32 table_type = 1; Family family = 3; Path path = 4; }
message ListPathRequest { uint32 table_type = 1; Family family = 3; uint64 batch_size = 10; }
message ListPathResponse { Destination destination = 1; }

message RouteDistinguisherTwoOctetASN { uint32 admin = 1; uint32 assigned = 2; }
message RouteDistinguisherIPAddress { string admin = 1; uint32 assigned = 2; }
message RouteDistinguisherFourOctetASN { uint32 admin = 1; uint32 assigned = 2; }
message EthernetSegmentIdentifier { uint32 type = 1; bytes value = 2; }
message EVPNEthernetAutoDiscoveryRoute {
  ${unions.rd} rd = 1; EthernetSegmentIdentifier esi = 2; uint32 ethernet_tag = 3; uint32 label = 4;
}
message EVPNMACIPAdvertisementRoute {
  ${unions.rd} rd = 1; EthernetSegmentIdentifier esi = 2; uint32 ethernet_tag = 3; string mac_address = 4; string ip_address = 5;
  repeated uint32 labels = 6;
}
message EVPNInclusiveMulticastEthernetTagRoute { ${unions.rd} rd = 1; uint32 ethernet_tag = 2; string ip_address = 3; }
message EVPNEthernetSegmentRoute { ${unions.rd} rd = 1; EthernetSegmentIdentifier esi = 2; string ip_address = 3; }
message EVPNIPPrefixRoute {
  ${unions.rd} rd = 1; EthernetSegmentIdentifier esi = 2; uint32 ethernet_tag = 3; string ip_prefix = 4; uint32 ip_prefix_len = 5;
  string gw_address = 6; uint32 label = 7;
}

message OriginAttribute { uint32 origin = 1; }
message NextHopAttribute { string next_hop = 1; }
message LocalPrefAttribute { uint32 local_pref = 1; }
message MpReachNLRIAttribute { Family family = 1; repeated string next_hops = 2; }
message ExtendedCommunitiesAttribute { repeated ${unions.community} communities = 1; }
message PmsiTunnelAttribute { uint32 flags = 1; uint32 type = 2; uint32 label = 3; bytes id = 4; }

message TwoOctetAsSpecificExtended { bool is_transitive = 1; uint32 sub_type = 2; uint32 asn = 3; uint32 local_admin = 4; }
message IPv4AddressSpecificExtended { bool is_transitive = 1; uint32 sub_type = 2; string address = 3; uint32 local_admin = 4; }
message FourOctetAsSpecificExtended { bool is_transitive = 1; uint32 sub_type = 2; uint32 asn = 3; uint32 local_admin = 4; }
message EncapExtended { uint32 tunnel_type = 1; }
message DefaultGatewayExtended {}
message MacMobilityExtended { bool is_sticky = 1; uint32 sequence_num = 2; }
message RouterMacExtended { string mac = 1; }

${declarations}
`;
}
