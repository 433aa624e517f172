"""The vendor's own SDKs for load balancers against an endpoint.

    vendor_balancers.py URL    CLB by the old SDK (signature V1) and the new one; ALB and NLB by the new ones
"""
import json
import sys
import time
import uuid

from alibabacloud_alb20200616 import models as alb_models
from alibabacloud_alb20200616.client import Client as Alb
from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_ecs20140526.client import Client as Ecs
from alibabacloud_nlb20220430 import models as nlb_models
from alibabacloud_nlb20220430.client import Client as Nlb
from alibabacloud_slb20140515 import models as slb_models
from alibabacloud_slb20140515.client import Client as Slb
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcore.client import AcsClient
from aliyunsdkslb.request.v20140515 import (
    AddVServerGroupBackendServersRequest as OldAdd,
    DescribeHealthStatusRequest as OldHealth,
)

REGION = "cn-hangzhou"
CLB, GROUP = "lb-bp1example", "rsp-bp1example"


def config(url):
    return Config(access_key_id="testid", access_key_secret="testsecret", endpoint=url,
                  protocol="http", region_id=REGION)


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, wanted {wanted!r}")
    print(f"ok  {what}")


def launched(url, amount):
    ecs = Ecs(config(url))
    answer = ecs.run_instances(ecs_models.RunInstancesRequest(
        region_id=REGION, image_id="m-bp1example", instance_type="ecs.c7.large",
        v_switch_id="vsw-zone-h", security_group_id="sg-bp1example", amount=amount,
        client_token=str(uuid.uuid4())))
    ids = answer.body.instance_id_sets.instance_id_set
    for _ in range(60):
        page = ecs.describe_instances(ecs_models.DescribeInstancesRequest(
            region_id=REGION, instance_ids=json.dumps(ids), max_results=100))
        if all(i.status == "Running" for i in page.body.instances.instance):
            return ids
        time.sleep(0.25)
    sys.exit("the instances do not run")


def old_clb(url, ids):
    client = AcsClient("testid", "testsecret", REGION, auto_retry=False)

    def call(request):
        request.set_endpoint(url)
        request.set_protocol_type("http")
        request.set_accept_format("json")
        return json.loads(client.do_action_with_exception(request))

    add = OldAdd.AddVServerGroupBackendServersRequest()
    add.set_VServerGroupId(GROUP)
    add.set_BackendServers(json.dumps(
        [{"ServerId": i, "Port": "80", "Weight": "60", "Type": "ecs"} for i in ids]))
    answer = call(add)["BackendServers"]["BackendServer"]
    expect("CLB, old SDK: all are in the group",
           {(s["ServerId"], s["Port"], int(s["Weight"])) for s in answer}, {(i, 80, 60) for i in ids})
    time.sleep(2.5)
    health = OldHealth.DescribeHealthStatusRequest()
    health.set_LoadBalancerId(CLB)
    rows = call(health)["BackendServers"]["BackendServer"]
    expect("CLB, old SDK: all are healthy", {r["ServerHealthStatus"] for r in rows}, {"normal"})


def new_clb(url, ids):
    client = Slb(config(url))
    servers = json.dumps([{"ServerId": i, "Port": "80", "Weight": "0", "Type": "ecs"} for i in ids])
    client.set_vserver_group_attribute(slb_models.SetVServerGroupAttributeRequest(
        region_id=REGION, vserver_group_id=GROUP, backend_servers=servers))
    answer = client.describe_vserver_group_attribute(slb_models.DescribeVServerGroupAttributeRequest(
        region_id=REGION, vserver_group_id=GROUP))
    expect("CLB: no weight left", {s.weight for s in answer.body.backend_servers.backend_server}, {0})
    answer = client.remove_vserver_group_backend_servers(
        slb_models.RemoveVServerGroupBackendServersRequest(
            region_id=REGION, vserver_group_id=GROUP, backend_servers=servers))
    expect("CLB: nobody left", answer.body.backend_servers.backend_server, [])
    own = json.dumps([{"ServerId": ids[0], "Weight": "100", "Type": "ecs"}])
    client.add_backend_servers(slb_models.AddBackendServersRequest(
        region_id=REGION, load_balancer_id=CLB, backend_servers=own))
    answer = client.describe_load_balancer_attribute(
        slb_models.DescribeLoadBalancerAttributeRequest(region_id=REGION, load_balancer_id=CLB))
    expect("CLB: the default group", [s.server_id for s in answer.body.backend_servers.backend_server],
           ids[:1])


def waited(what):
    """A group that is being changed refuses: it is asked again."""
    for _ in range(40):
        try:
            return what()
        except Exception as error:
            if "IncorrectStatus" not in str(error):
                raise
            time.sleep(0.25)
    sys.exit("the group stays busy")


def grouped(name, client, models, group, listener, ids, paged):
    def servers(kind, with_weight, weight=100):
        make = getattr(models, f"{kind}RequestServers")
        fields = dict(weight=weight) if with_weight else {}
        return [make(server_id=i, server_type="Ecs", port=8080, **fields) for i in ids]

    def shown():
        found, token = [], None
        while True:
            body = client.list_server_group_servers(models.ListServerGroupServersRequest(
                server_group_id=group, max_results=10, next_token=token)).body
            found += body.servers
            token = body.next_token
            if not token:
                return found

    answer = client.add_servers_to_server_group(models.AddServersToServerGroupRequest(
        server_group_id=group, client_token=str(uuid.uuid4()),
        servers=servers("AddServersToServerGroup", True)))
    expect(f"{name}: a job", bool(answer.body.job_id), True)
    expect(f"{name}: it goes on", {s.status for s in shown()}, {"Configuring"})
    waited(lambda: client.update_server_group_servers_attribute(
        models.UpdateServerGroupServersAttributeRequest(
            server_group_id=group, servers=servers("UpdateServerGroupServersAttribute", True, 7))))
    expect(f"{name}: over two pages", {(s.server_id, s.port, s.weight) for s in shown()},
           {(i, 8080, 7) for i in ids})
    time.sleep(2.5)
    fields = dict(max_results=30) if paged else {}
    body = client.get_listener_health_status(
        models.GetListenerHealthStatusRequest(listener_id=listener, **fields)).body
    infos = body.listener_health_status[0].server_group_infos[0]
    expect(f"{name}: nobody is unhealthy", infos.non_normal_servers or [], [])
    waited(lambda: client.remove_servers_from_server_group(
        models.RemoveServersFromServerGroupRequest(
            server_group_id=group, servers=servers("RemoveServersFromServerGroup", False))))
    time.sleep(1.5)
    expect(f"{name}: nobody left", shown(), [])


def main():
    url = sys.argv[1].removeprefix("http://")
    ids = launched(url, 12)
    old_clb(url, ids)
    new_clb(url, ids)
    grouped("ALB", Alb(config(url)), alb_models, "sgp-bp1alb", "lsn-bp1alb", ids, True)
    grouped("NLB", Nlb(config(url)), nlb_models, "sgp-bp1nlb", "lsn-bp1nlb", ids, False)
    print("all answers are as expected")


main()
