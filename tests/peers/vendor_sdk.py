"""The vendor's own SDKs against an ECS endpoint.

    vendor_sdk.py v1 URL      the old SDK: signature V1
    vendor_sdk.py acs3 URL    the new SDK: ACS3-HMAC-SHA256
    vendor_sdk.py list URL    every instance as JSON, by the new SDK
"""
import json
import sys
import time
import uuid

REGION = "cn-hangzhou"
LAUNCH = dict(image="m-bp1example", type="ecs.c7.large", vswitch="vsw-zone-h", group="sg-bp1example")


class Old:
    """aliyun-python-sdk-ecs: parameters in the query of a POST, signature V1."""

    def __init__(self, endpoint):
        from aliyunsdkcore.client import AcsClient

        self.endpoint = endpoint
        self.client = AcsClient("testid", "testsecret", REGION, auto_retry=False)

    def call(self, name, **fields):
        module = __import__(f"aliyunsdkecs.request.v20140526.{name}Request", fromlist=["x"])
        request = getattr(module, f"{name}Request")()
        request.set_endpoint(self.endpoint)
        request.set_protocol_type("http")
        request.set_accept_format("json")
        for field, value in fields.items():
            getattr(request, f"set_{field}")(value)
        return json.loads(self.client.do_action_with_exception(request))

    def launch(self, amount, token, tags):
        answer = self.call(
            "RunInstances", ImageId=LAUNCH["image"], InstanceType=LAUNCH["type"],
            VSwitchId=LAUNCH["vswitch"], SecurityGroupId=LAUNCH["group"], Amount=amount,
            ClientToken=token, Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
        return answer["InstanceIdSets"]["InstanceIdSet"]

    def page(self, tags, token=None):
        fields = dict(MaxResults=100)
        if tags:
            fields["Tags"] = [{"Key": k, "Value": v} for k, v in tags.items()]
        if token:
            fields["NextToken"] = token
        answer = self.call("DescribeInstances", **fields)
        return answer["Instances"]["Instance"], answer.get("NextToken")

    def tag(self, ids, tags):
        self.call("TagResources", ResourceType="instance", ResourceIds=ids,
                  Tags=[{"Key": k, "Value": v} for k, v in tags.items()])

    def stop(self, ids):
        answer = self.call("StopInstances", InstanceIds=ids, BatchOptimization="SuccessFirst")
        return answer["InstanceResponses"]["InstanceResponse"]

    def delete(self, ids):
        self.call("DeleteInstances", InstanceIds=ids, Force=True, ClientToken=str(uuid.uuid4()))


class New:
    """alibabacloud_ecs20140526: ACS3-HMAC-SHA256."""

    def __init__(self, endpoint):
        from alibabacloud_ecs20140526 import models
        from alibabacloud_ecs20140526.client import Client
        from alibabacloud_tea_openapi.models import Config

        self.models = models
        self.client = Client(Config(access_key_id="testid", access_key_secret="testsecret",
                                    endpoint=endpoint, protocol="http", region_id=REGION))

    def tags(self, kind, tags):
        return [getattr(self.models, f"{kind}RequestTag")(key=k, value=v) for k, v in tags.items()]

    def launch(self, amount, token, tags):
        answer = self.client.run_instances(self.models.RunInstancesRequest(
            region_id=REGION, image_id=LAUNCH["image"], instance_type=LAUNCH["type"],
            v_switch_id=LAUNCH["vswitch"], security_group_id=LAUNCH["group"], amount=amount,
            client_token=token, tag=self.tags("RunInstances", tags)))
        return answer.body.instance_id_sets.instance_id_set

    def page(self, tags, token=None):
        answer = self.client.describe_instances(self.models.DescribeInstancesRequest(
            region_id=REGION, max_results=100, next_token=token,
            tag=self.tags("DescribeInstances", tags) if tags else None))
        body = answer.body.to_map()
        return body["Instances"]["Instance"], body.get("NextToken")

    def tag(self, ids, tags):
        self.client.tag_resources(self.models.TagResourcesRequest(
            region_id=REGION, resource_type="instance", resource_id=ids,
            tag=self.tags("TagResources", tags)))

    def stop(self, ids):
        answer = self.client.stop_instances(self.models.StopInstancesRequest(
            region_id=REGION, instance_id=ids, batch_optimization="SuccessFirst"))
        return answer.body.to_map()["InstanceResponses"]["InstanceResponse"]

    def delete(self, ids):
        self.client.delete_instances(self.models.DeleteInstancesRequest(
            region_id=REGION, instance_id=ids, force=True, client_token=str(uuid.uuid4())))


def listing(sdk, tags=None):
    found, token = [], None
    while True:
        page, token = sdk.page(tags, token)
        found += page
        if not token:
            return found


def shown_tags(instance):
    return {tag["TagKey"]: tag["TagValue"] for tag in instance.get("Tags", {}).get("Tag", [])}


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, wanted {wanted!r}")
    print(f"ok  {what}")


def session(sdk):
    blue = {"team": "blue", "scale-source": "auto"}
    token = str(uuid.uuid4())
    first = sdk.launch(3, token, blue)
    expect("three instances", len(first), 3)
    expect("the same token gives the same instances", sdk.launch(3, token, blue), first)
    expect("and launches no more", len(listing(sdk)), 3)

    second = sdk.launch(100, str(uuid.uuid4()), {"team": "green", "note": "a b+c*~/蓝"})
    third = sdk.launch(17, str(uuid.uuid4()), {"team": "green", "note": "x"})
    everything = listing(sdk)
    expect("120 instances over two pages", len(everything), 120)
    expect("each once", len({i["InstanceId"] for i in everything}), 120)
    expect("a filter by two tags", {i["InstanceId"] for i in listing(sdk, blue)}, set(first))
    expect("a filter by an odd value", len(listing(sdk, {"note": "a b+c*~/蓝"})), 100)

    sdk.tag(first[:2], {"colour": "navy"})
    expect("tagged afterwards", {i["InstanceId"] for i in listing(sdk, {"colour": "navy"})}, set(first[:2]))

    for _ in range(60):
        if all(i["Status"] == "Running" for i in listing(sdk, blue)):
            break
        time.sleep(0.25)
    stopped = sdk.stop([first[0], "i-does-not-exist"])
    codes = {row["InstanceId"]: str(row["Code"]) for row in stopped}
    expect("stopping: one result each", codes,
           {first[0]: "200", "i-does-not-exist": "InvalidInstanceId.NotFound"})

    sdk.delete(first)
    expect("deleted", listing(sdk, blue), [])
    sdk.delete(second)
    sdk.delete(third)
    expect("all gone", listing(sdk), [])
    print("all answers are as expected")


def main():
    what, url = sys.argv[1], sys.argv[2].removeprefix("http://")
    if what == "list":
        print(json.dumps([{"id": i["InstanceId"], "status": i["Status"], "tags": shown_tags(i)}
                          for i in listing(New(url))]))
    else:
        session({"v1": Old, "acs3": New}[what](url))


main()
