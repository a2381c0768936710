/// The statements of `Record.checkLineage`. $1 is the volume; each of `all` gives a sentence for every row that is wrong.
enum LineageChecks {
  static let fragments = """
    select f.fragment_id, s.live_id from fragment f
    join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
    where f.volume_id = $1 and f.state = 'final' order by f.fragment_id
    """

  static let edges = "select e.fragment_a, e.fragment_b from effective_edge e where e.volume_id = $1"

  static let all: [(check: String, sql: String)] = [
    ("the events give every fragment its segment", membership),
    ("the events say which segments are live", liveSegments),
    ("the versions of segments give the segments", segments),
    ("retired segments name live ones", successors),
    ("the versions of fragments follow each other", fragmentVersions),
    ("corrections go back to operations of their kind", origins),
    ("corrections stand on fragments that are there", corrections),
    ("what people separated is apart", separations),
    ("the contacts of blocks are those of their edges", contacts),
  ]

  private static let membership = """
    select format('fragment %s is of segment %s, its events say %s', coalesce(m.fragment_id, c.fragment_id),
      coalesce(c.segment_id::text, 'none'), coalesce(m.segment_id::text, 'none'))
    from membership_as_of($1::integer, (select max(o.operation_id) from operation o where o.volume_id = $1)) m
    full join (
      select f.fragment_id, s.live_id as segment_id from fragment f
      join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
      where f.volume_id = $1 and f.state = 'final'
    ) c on c.fragment_id = m.fragment_id
    where m.segment_id is distinct from c.segment_id
    """

  private static let liveSegments = """
    select format('segment %s is %s, its events say %s', coalesce(e.id, s.segment_id), coalesce(s.state, 'not there'),
      case when e.live then 'live' else 'not live' end)
    from (
      select distinct on (c.id) c.id, c.live from lineage_event l
      cross join lateral (
        select l.segment_id as id, l.event <> 'revised' or l.other_segment_id is not null as live
        where l.event not in ('settled', 'split')
        union all
        select l.other_segment_id, l.event = 'split' where l.event in ('split', 'merged')
          or (l.event = 'revised' and l.other_segment_id <> l.segment_id)
      ) c
      where l.volume_id = $1 order by c.id, l.lineage_id desc, c.live
    ) e
    full join (select * from segment where volume_id = $1) s on s.segment_id = e.id
    where coalesce(e.live, false) <> coalesce(s.state = 'live', false)
    """

  private static let segments = """
    select format('segment %s is %s, its last version says %s', coalesce(s.segment_id, c.segment_id),
      coalesce(s.state || coalesce(' (' || s.successor_id || ')', ''), 'not there'),
      coalesce(c.state || coalesce(' (' || c.successor_id || ')', ''), 'nothing'))
    from (select * from segment where volume_id = $1) s
    full join (
      select distinct on (segment_id) * from segment_change where volume_id = $1 order by segment_id, change_id desc
    ) c on c.segment_id = s.segment_id
    where (s.state, s.successor_id, s.born_operation_id, s.retired_operation_id)
      is distinct from (c.state, c.successor_id, c.born_operation_id, c.retired_operation_id)
    """

  private static let successors = """
    select format('segment %s names %s, which is %s', s.segment_id, s.successor_id, t.state)
    from segment s join segment t on t.volume_id = s.volume_id and t.segment_id = s.successor_id
    where s.volume_id = $1 and t.state <> 'live'
    """

  private static let fragmentVersions = """
    select format('fragment %s: the version of operation %s (until %s) is followed by one of operation %s', v.fragment_id,
      v.operation_id, v.until_operation_id, coalesce(v.next::text, 'none'))
    from (
      select fragment_id, operation_id, until_operation_id, reason,
        lead(operation_id) over (partition by fragment_id order by operation_id) as next
      from (
        select h.fragment_id, h.operation_id, h.until_operation_id, h.reason from fragment_history h
        where h.volume_id = $1
        union all
        select f.fragment_id, f.operation_id, null, null from fragment f where f.volume_id = $1 and f.state = 'final'
      ) version
    ) v
    left join operation o on o.operation_id = v.operation_id and o.volume_id = $1
    left join operation u on u.operation_id = v.until_operation_id and u.volume_id = $1
    where o.operation_id is null or (v.until_operation_id is not null and u.operation_id is null)
      or v.next < v.until_operation_id or (v.until_operation_id is null and v.next is not null)
      or (v.reason = 'reassigned' and v.next is distinct from v.until_operation_id)
    """

  private static let origins = """
    select format('correction %s is a %s of operation %s, a %s', c.correction_id, c.decision, c.origin_operation_id, o.kind)
    from correction c
    join operation o on o.operation_id = c.origin_operation_id
    where c.volume_id = $1 and (o.volume_id <> $1 or o.kind <> all (case c.decision
        when 'join' then array['merge', 'confirm'] when 'separate' then array['split', 'confirm']
        when 'lock' then array['lock'] when 'note' then array['annotate'] else array['split', 'confirm', 'lock'] end)
      or (c.operation_id <> c.origin_operation_id and c.continues_id is null and c.decision <> 'refuse'))
    """

  private static let corrections = """
    select format('correction %s: fragments %s and %s are of segments %s and %s, it says %s and %s', c.correction_id,
      c.fragment_a, c.fragment_b, coalesce(n.a::text, 'none'), coalesce(n.b::text, 'none'), c.segment_a, c.segment_b)
    from correction c
    cross join lateral (
      select live_segment(c.volume_id, c.fragment_a) as a, live_segment(c.volume_id, c.fragment_b) as b
    ) n
    where c.volume_id = $1 and c.until_operation_id is null
      and (n.a is distinct from c.segment_a or n.b is distinct from c.segment_b
        or (c.decision = 'join' and n.a <> n.b and not exists (
          select from correction o where o.volume_id = $1 and o.fragment_a = c.fragment_a and o.fragment_b = c.fragment_b
            and o.decision in ('separate', 'refuse') and o.until_operation_id is null)))
    """

  private static let separations = """
    select format('correction %s keeps fragments %s and %s apart, both are of segment %s', c.correction_id, c.fragment_a,
      c.fragment_b, c.segment_a)
    from correction c
    where c.volume_id = $1 and c.until_operation_id is null and c.decision = 'separate' and c.segment_a = c.segment_b
    """

  private static let contacts = """
    select format('block %s: segment %s is said to touch %s in %s edges with %s px, its edges are %s with %s px', b.block,
      f.segment_id, f.other_id, coalesce(f.contacts, 0), coalesce(f.area, 0), coalesce(f.edges, 0), coalesce(f.edge_area, 0))
    from contact_block b
    cross join lateral (
      select coalesce(c.segment_id, e.segment_id) as segment_id, coalesce(c.other_id, e.other_id) as other_id, c.contacts,
        c.contact_area_px as area, e.contacts as edges, e.contact_area_px as edge_area
      from (select * from block_contacts(b.volume_id, b.block) k where k.segment_id <> k.other_id) e
      full join (
        select * from segment_contact s where s.volume_id = b.volume_id and s.block = b.block and s.version = b.version
      ) c on c.segment_id = e.segment_id and c.other_id = e.other_id
      where (c.contact_area_px, c.contacts, c.best_score) is distinct from (e.contact_area_px, e.contacts, e.best_score)
        or abs(c.affinity_area - e.affinity_area) > 1e-9 * e.affinity_area
        or e.first_block < b.first_block or e.last_block > b.last_block
    ) f
    where b.volume_id = $1 and b.is_complete
    """
}
