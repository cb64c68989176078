"""validate.py SERVICE OPERATION < REQUEST: says what the AWS API's model finds wrong with a request."""
import json
import sys

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

service, operation = sys.argv[1:]
model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
shape = model.operation_model(operation).input_shape
report = ParamValidator().validate(json.load(sys.stdin), shape)
print(report.generate_report())
sys.exit(report.has_errors())
